// Small pieces that every page uses.

import { type ReactNode, useEffect, useState } from 'react';

import { ago, moment } from '../lib/format';

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'quiet';

export function Badge({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return <span className={`badge ${tone}`} title={title}>{children}</span>;
}

export function Progress({ value, label }: { value: number; label: string }) {
  const percent = Math.round(Math.min(1, Math.max(0, value)) * 100);
  return (
    <span className="progress">
      <progress max={100} value={percent} aria-label={label} />
      <span className="progress-text"><span>{label}</span><span>{percent} %</span></span>
    </span>
  );
}

export function Notice({ tone, title, children }: { tone: Tone; title: string; children?: ReactNode }) {
  return (
    <div className={`notice ${tone}`} role={tone === 'bad' ? 'alert' : undefined}>
      <p className="notice-title">{title}</p>
      {children}
    </div>
  );
}

export function Failure({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <Notice tone="bad" title="This could not be loaded">
      <p>{error.message}</p>
      <p><button type="button" className="button" onClick={retry}>Try again</button></p>
    </Notice>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return <div className="empty"><h2>{title}</h2>{children}</div>;
}

/** Holds the room of what is being loaded. */
export function Loading({ lines = 6, label = 'Loading' }: { lines?: number; label?: string }) {
  return (
    <div className="loading" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, line) => <span key={line} className="bone" />)}
    </div>
  );
}

/** The time, every half minute. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

export function Ago({ at, now }: { at: string; now: number }) {
  return <time dateTime={at} title={moment(at)}>{ago(at, now)}</time>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return <div className="fact"><dt>{name}</dt><dd>{children}</dd></div>;
}

export function Uid({ value }: { value: string }) {
  return <code className="uid">{value}</code>;
}

/** A button that asks the server to do something, once at a time, and shows what went wrong. */
export function Action({ act, done, confirm, kind = '', children }: {
  act: () => Promise<unknown>;
  done: () => void;
  /** Asked before; the button's second press is the answer. */
  confirm?: string;
  kind?: '' | 'primary' | 'danger';
  children: ReactNode;
}) {
  const [state, setState] = useState<'idle' | 'asking' | 'busy'>('idle');
  const [problem, setProblem] = useState('');
  const run = async () => {
    setState('busy');
    setProblem('');
    try {
      await act();
      done();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
    setState('idle');
  };
  return (
    <span className="action">
      {state === 'asking' ? (
        <span className="asking" role="group" aria-label={confirm}>
          <span>{confirm}</span>
          <button type="button" className={`button ${kind}`} onClick={() => void run()} autoFocus>Yes</button>
          <button type="button" className="button" onClick={() => setState('idle')}>No</button>
        </span>
      ) : (
        <button type="button" className={`button ${kind}`} disabled={state === 'busy'}
          onClick={() => (confirm ? setState('asking') : void run())}>
          {children}
        </button>
      )}
      {problem && <span className="problem" role="alert">{problem}</span>}
    </span>
  );
}

/** Says something to people who do not see the page. */
export function Announce({ text }: { text: string }) {
  return <p className="unseen" role="status" aria-live="polite">{text}</p>;
}

export function useTitle(title: string) {
  useEffect(() => {
    document.title = title ? `${title} · Hilum` : 'Hilum';
  }, [title]);
}
