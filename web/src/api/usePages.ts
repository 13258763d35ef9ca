// Loads a long list page by page, and keeps what was loaded.

import { useCallback, useEffect, useRef, useState } from 'react';

import type { Page } from './types';

export interface Pages<T> {
  /** Absent until the first page is there. */
  items: T[] | undefined;
  error: Error | undefined;
  loading: boolean;
  /** Loads the next page; absent when there is none. */
  more: (() => void) | undefined;
  reload: () => void;
}

interface Held<T> {
  key: string;
  items: T[] | undefined;
  next: string | null;
  error: Error | undefined;
}

/** `key` names the list: another key is another list. */
export function usePages<T>(key: string, load: (after: string | undefined, signal: AbortSignal) => Promise<Page<T>>): Pages<T> {
  const [held, setHeld] = useState<Held<T>>({ key: '', items: undefined, next: null, error: undefined });
  const [round, setRound] = useState(0);
  const [loading, setLoading] = useState(true);
  const latest = useRef(load);
  const running = useRef<AbortController>(undefined);
  useEffect(() => {
    latest.current = load;
  });

  const fetchPage = useCallback((after: string | undefined, before: T[]) => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setLoading(true);
    latest.current(after, abort.signal).then(
      page => {
        if (abort.signal.aborted) return;
        setHeld({ key, items: [...before, ...page.items], next: page.next ?? null, error: undefined });
        setLoading(false);
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const reason = error instanceof Error ? error : new Error(String(error));
        setHeld(now => (now.key === key ? { ...now, error: reason } : { key, items: undefined, next: null, error: reason }));
        setLoading(false);
      },
    );
  }, [key]);

  useEffect(() => {
    fetchPage(undefined, []);
    return () => running.current?.abort();
  }, [fetchPage, round]);

  const current = held.key === key;
  const { items, next } = held;
  return {
    items: current ? items : undefined,
    error: current ? held.error : undefined,
    loading: loading || !current,
    more: current && items && next && !loading ? () => fetchPage(next, items) : undefined,
    reload: useCallback(() => setRound(value => value + 1), []),
  };
}
