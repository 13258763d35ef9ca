// Loads something, keeps what is shown while it loads again, and forgets
// answers that come too late.

import { useCallback, useEffect, useRef, useState } from 'react';

import { useChanges } from './live';
import type { Topic } from './types';

export interface Resource<T> {
  /** What was loaded last for this key. */
  data: T | undefined;
  error: Error | undefined;
  loading: boolean;
  reload: () => void;
}

interface Loaded<T> {
  key: string;
  data?: T;
  error?: Error;
}

/** `key` names what is loaded: another key is another thing, and none loads nothing. */
export function useResource<T>(
  key: string | undefined,
  load: (signal: AbortSignal) => Promise<T>,
  topics: readonly Topic[],
  studyUid?: string,
): Resource<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ key: '' });
  const [round, setRound] = useState(0);
  const [loading, setLoading] = useState(true);
  const latest = useRef(load);
  useEffect(() => {
    latest.current = load;
  });

  useEffect(() => {
    if (key === undefined) return;
    const abort = new AbortController();
    setLoading(true);
    latest.current(abort.signal).then(
      data => {
        if (abort.signal.aborted) return;
        setLoaded({ key, data });
        setLoading(false);
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const reason = error instanceof Error ? error : new Error(String(error));
        // What was shown stays, with the error beside it.
        setLoaded(before => (before.key === key ? { ...before, error: reason } : { key, error: reason }));
        setLoading(false);
      },
    );
    return () => abort.abort();
  }, [key, round]);

  const reload = useCallback(() => setRound(value => value + 1), []);
  useChanges(topics, reload, studyUid);
  const current = loaded.key === key;
  return {
    data: current ? loaded.data : undefined,
    error: current ? loaded.error : undefined,
    loading: key !== undefined && (loading || !current),
    reload,
  };
}
