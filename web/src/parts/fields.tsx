// Fields of forms: each with its label, and what it needs said below it.

import { type InputHTMLAttributes, type ReactNode, useId, useState } from 'react';

import { PASSWORD_MIN, passwordAdvice } from '../lib/password';

type Input = Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange' | 'value' | 'id'>;

export function TextField({ label, hint, value, change, ...input }: Input & {
  label: string; hint?: ReactNode; value: string; change: (value: string) => void;
}) {
  const id = useId();
  return (
    <div className="entry">
      <label htmlFor={id}>{label}</label>
      <input id={id} maxLength={200} {...input} value={value} aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={event => change(event.target.value)} />
      {hint && <p id={`${id}-hint`} className="hint">{hint}</p>}
    </div>
  );
}

/** A password, which may be looked at while it is typed. */
export function PasswordField({ label, value, change, fresh = false, ...input }: Input & {
  label: string; value: string; change: (value: string) => void;
  /** It is being chosen, not known. */
  fresh?: boolean;
}) {
  const id = useId();
  const [shown, setShown] = useState(false);
  return (
    <div className="entry">
      <label htmlFor={id}>{label}</label>
      <div className="with-button">
        <input id={id} type={shown ? 'text' : 'password'} required maxLength={256} spellCheck={false} autoCapitalize="none"
          minLength={fresh ? PASSWORD_MIN : undefined} autoComplete={fresh ? 'new-password' : 'current-password'} {...input} value={value}
          aria-describedby={fresh ? `${id}-hint` : undefined} onChange={event => change(event.target.value)} />
        <button type="button" className="button" aria-pressed={shown} onClick={() => setShown(!shown)}>{shown ? 'Hide' : 'Show'}</button>
      </div>
      {fresh && <p id={`${id}-hint`} className="hint">{passwordAdvice(value)}</p>}
    </div>
  );
}

export function Choice<T extends string>({ label, hint, value, options, change }: {
  label: string; hint?: ReactNode; value: T; options: readonly (readonly [T, string])[]; change: (value: T) => void;
}) {
  const id = useId();
  return (
    <div className="entry">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} aria-describedby={hint ? `${id}-hint` : undefined} onChange={event => change(event.target.value as T)}>
        {options.map(([name, text]) => <option key={name} value={name}>{text}</option>)}
      </select>
      {hint && <p id={`${id}-hint`} className="hint">{hint}</p>}
    </div>
  );
}
