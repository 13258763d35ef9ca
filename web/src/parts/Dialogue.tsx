// Asks for what must be said before something is done.

import { type ReactNode, useEffect, useRef, useState } from 'react';

import { useSubmit } from './useSubmit';

type Kind = '' | 'primary' | 'danger';

/** A form behind a button. */
export function Modal<T>({ open, opened, title, submit = title, act, done, disabled = false, kind = '', children }: {
  /** What the button that opens it says. */
  open: ReactNode;
  /** It is opened: what it needs can be asked for. */
  opened?: () => void;
  title: string;
  /** What the button that does it says. */
  submit?: string;
  act: () => Promise<T>;
  /** Told what came of it, once the dialogue is closed. */
  done: (made: T) => void;
  disabled?: boolean;
  kind?: Kind;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  // A list has one for each of its rows: it is there only while it is open.
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (shown) dialog.current?.showModal();
  }, [shown]);
  const trial = useSubmit(async () => {
    const made = await act();
    dialog.current?.close();
    done(made);
  });
  return (
    <>
      <button type="button" className={`button ${kind}`} onClick={() => { opened?.(); setShown(true); }}>{open}</button>
      {shown && (
        <dialog ref={dialog} className="dialogue" aria-label={title} onClose={() => setShown(false)}>
          <form onSubmit={trial.submit}>
            <h2>{title}</h2>
            {children}
            {trial.problem && <p className="problem" role="alert">{trial.problem}</p>}
            <div className="decisions">
              <button type="submit" className={`button ${kind || 'primary'}`} disabled={trial.busy || disabled}>{submit}</button>
              <button type="button" className="button" onClick={() => dialog.current?.close()}>Cancel</button>
            </div>
          </form>
        </dialog>
      )}
    </>
  );
}

/** A form behind a button that wants to know why. */
export function Dialogue({ act, disabled = false, ask = 'Why? It is kept, so it should not name the patient.', least = 1, children, ...rest }: {
  open: ReactNode;
  opened?: () => void;
  title: string;
  act: (reason: string) => Promise<unknown>;
  done: () => void;
  /** Nothing to do yet, but for the reason. */
  disabled?: boolean;
  ask?: string;
  /** Characters that a reason has. */
  least?: number;
  kind?: Kind;
  children: ReactNode;
}) {
  const [reason, setReason] = useState('');
  return (
    <Modal {...rest} disabled={disabled || !reason.trim()}
      act={async () => { await act(reason.trim()); setReason(''); }}>
      {children}
      <label className="field">
        <span>{ask}</span>
        <input required minLength={least} maxLength={500} value={reason} onChange={event => setReason(event.target.value)} />
      </label>
    </Modal>
  );
}
