// Loads something, keeps what is shown while it loads again, and forgets
// answers that come too late.

import { useCallback, useEffect, useRef, useState } from 'react';

import { useChanges } from './live';
import type { Topic } from './types';

export interface Resource<T> {
  /** What was loaded last for this key. */
  data: T | undefined;
  error: Error | undefined;
  loading: boolean;
  reload: () => void;
}

interface Loaded<T> {
  key: string;
  data?: T;
  error?: Error;
}

/** `key` names what is loaded: another key is another thing, and none loads nothing. */
export function useResource<T>(
  key: string | undefined,
  load: (signal: AbortSignal) => Promise<T>,
  topics: readonly Topic[],
  studyUid?: string,
): Resource<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ key: '' });
  const [round, setRound] = useState(0);
  const [loading, setLoading] = useState(true);
  const latest = useRef(load);
  const took = useRef<number | undefined>(0);
  useEffect(() => {
    latest.current = load;
  });

  useEffect(() => {
    if (key === undefined) return;
    const abort = new AbortController();
    setLoading(true);
    const began = performance.now();
    took.current = undefined;
    latest.current(abort.signal).finally(() => {
      if (!abort.signal.aborted) took.current = performance.now() - began;
    }).then(
      data => {
        if (abort.signal.aborted) return;
        setLoaded({ key, data });
        setLoading(false);
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const reason = error instanceof Error ? error : new Error(String(error));
        // What was shown stays, with the error beside it.
        setLoaded(before => (before.key === key ? { ...before, error: reason } : { key, error: reason }));
        setLoading(false);
      },
    );
    return () => {
      abort.abort();
      took.current = 0;
    };
  }, [key, round]);

  const reload = useCallback(() => setRound(value => value + 1), []);
  useChanges(topics, reload, studyUid, () => took.current);
  const current = loaded.key === key;
  return {
    data: current ? loaded.data : undefined,
    error: current ? loaded.error : undefined,
    loading: key !== undefined && (loading || !current),
    reload,
  };
}
