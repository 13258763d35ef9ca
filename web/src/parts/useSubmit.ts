// One try at a time, and what went wrong with the last.

import { type FormEvent, useState } from 'react';

export interface Submit {
  busy: boolean;
  problem: string;
  submit: (event?: FormEvent) => void;
}

export function useSubmit(act: () => Promise<unknown>): Submit {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const run = async () => {
    setBusy(true);
    setProblem('');
    try {
      await act();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  };
  return {
    busy,
    problem,
    submit: event => {
      event?.preventDefault();
      if (!busy) void run();
    },
  };
}
