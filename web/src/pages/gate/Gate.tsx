// The frame of every page that shows before somebody has signed in.

import type { ReactNode } from 'react';

import { Mark } from '../../parts/Mark';
import { useTitle } from '../../parts';
import { useSubmit } from '../../parts/useSubmit';

export function Gate({ title, lead, children }: { title: string; lead?: ReactNode; children?: ReactNode }) {
  useTitle(title);
  return (
    <main className="gate" id="main">
      <p className="gate-brand"><Mark /><span>Hilum</span></p>
      <div className="card">
        <h1>{title}</h1>
        {lead && <p className="faint">{lead}</p>}
        {children}
      </div>
    </main>
  );
}

export function GateForm({ submit, act, children }: { submit: string; act: () => Promise<unknown>; children: ReactNode }) {
  const trial = useSubmit(act);
  return (
    <form className="entries" onSubmit={trial.submit}>
      {children}
      {trial.problem && <p className="problem" role="alert">{trial.problem}</p>}
      <button type="submit" className="button primary large" disabled={trial.busy}>{submit}</button>
    </form>
  );
}
