// A secret that is shown once and never again.

import { useEffect, useRef } from 'react';

import { Copyable } from './Copy';

export function SecretOnce({ secret, done }: { secret: string; done: () => void }) {
  const heading = useRef<HTMLParagraphElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <div className="notice busy secret">
      <p className="notice-title" tabIndex={-1} ref={heading}>Copy this key now. It is not shown again.</p>
      <Copyable text={secret} label="the API key" />
      <p>Whoever has it comes in with it: keep it where passwords are kept. The program sends it as <code>Authorization: Bearer</code>.</p>
      <p><button type="button" className="button" onClick={done}>I have it</button></p>
    </div>
  );
}
