// Text to be taken elsewhere: shown as it is, and copied with one press.

import { useRef, useState } from 'react';

/** How long a button says that it worked. */
const SAID_MS = 2000;

async function copy(text: string, shown: HTMLElement | null): Promise<boolean> {
  try {
    // Absent where the page came over plain HTTP from another machine.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (!shown) return false;
    const range = document.createRange();
    range.selectNodeContents(shown);
    getSelection()?.removeAllRanges();
    getSelection()?.addRange(range);
    return document.execCommand('copy');
  }
}

export function Copyable({ text, label, multiline = false }: { text: string; label: string; multiline?: boolean }) {
  const shown = useRef<HTMLElement>(null);
  const [said, setSaid] = useState('');
  const press = async () => {
    setSaid((await copy(text, shown.current)) ? 'Copied' : 'Selected: copy it with your keyboard');
    setTimeout(() => setSaid(''), SAID_MS);
  };
  return (
    <div className={multiline ? 'copyable multiline' : 'copyable'}>
      <pre tabIndex={0} aria-label={label}><code ref={shown}>{text}</code></pre>
      <button type="button" className="button" aria-label={`Copy ${label}`} onClick={() => void press()}>{said || 'Copy'}</button>
      <span className="unseen" role="status">{said}</span>
    </div>
  );
}
