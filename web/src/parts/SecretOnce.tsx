// A secret that is shown once and never again.

import { type ReactNode, useEffect, useRef } from 'react';

import { Copyable } from './Copy';

/** An API key, or what `what` and `children` say. */
export function SecretOnce({ secret, what = 'key', children, done }: { secret: string; what?: string; children?: ReactNode; done: () => void }) {
  const heading = useRef<HTMLParagraphElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <div className="notice busy secret">
      <p className="notice-title" tabIndex={-1} ref={heading}>Copy this {what} now. It is not shown again.</p>
      <Copyable text={secret} label={what === 'key' ? 'the API key' : `the ${what}`} />
      {children ?? <p>Whoever has it comes in with it: keep it where passwords are kept. The program sends it as <code>Authorization: Bearer</code>.</p>}
      <p><button type="button" className="button" onClick={done}>I have it</button></p>
    </div>
  );
}
