// Asks for what must be said before something is changed or deleted for good.

import { type FormEvent, type ReactNode, useRef, useState } from 'react';

export function Dialogue({ open, opened, title, act, done, disabled = false, kind = '', children }: {
  /** What the button that opens it says. */
  open: string;
  /** It is opened: what it needs can be asked for. */
  opened?: () => void;
  title: string;
  act: (reason: string) => Promise<unknown>;
  done: () => void;
  /** Nothing to do yet, but for the reason. */
  disabled?: boolean;
  kind?: '' | 'danger';
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem('');
    try {
      await act(reason.trim());
      dialog.current?.close();
      setReason('');
      done();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" className={`button ${kind}`} onClick={() => { opened?.(); dialog.current?.showModal(); }}>{open}</button>
      <dialog ref={dialog} className="dialogue" aria-label={title}>
        <form onSubmit={event => void submit(event)}>
          <h2>{title}</h2>
          {children}
          <label className="field">
            <span>Why? It is kept, so it should not name the patient.</span>
            <input required maxLength={500} value={reason} onChange={event => setReason(event.target.value)} />
          </label>
          {problem && <p className="problem" role="alert">{problem}</p>}
          <div className="decisions">
            <button type="submit" className={`button ${kind || 'primary'}`} disabled={busy || disabled || !reason.trim()}>{title}</button>
            <button type="button" className="button" onClick={() => dialog.current?.close()}>Cancel</button>
          </div>
        </form>
      </dialog>
    </>
  );
}
