// A button that opens a list of links and buttons below it.

import { type ReactNode, useEffect, useId, useRef, useState } from 'react';

/** What `button` shows is also its name. */
export function Menu({ button, children }: { button: ReactNode; children: ReactNode }) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const around = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !around.current?.contains(event.target)) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      // A dialogue within closes first.
      if (event.key !== 'Escape' || around.current?.querySelector('dialog[open]')) return;
      setOpen(false);
      opener.current?.focus();
    };
    addEventListener('pointerdown', outside);
    addEventListener('focusin', outside);
    addEventListener('keydown', escape);
    return () => {
      removeEventListener('pointerdown', outside);
      removeEventListener('focusin', outside);
      removeEventListener('keydown', escape);
    };
  }, [open]);
  return (
    <div className="menu" ref={around}>
      <button type="button" ref={opener} className="menu-button" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>{button}</button>
      <div id={id} className="menu-list" hidden={!open}
        onClick={event => { if (event.target instanceof Element && event.target.closest('a')) setOpen(false); }}>
        {children}
      </div>
    </div>
  );
}
