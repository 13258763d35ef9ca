// One stream of /api/v1/events for the whole application. A notice says only
// that something changed; whoever listens asks again over the API.

import { useEffect, useRef, useSyncExternalStore } from 'react';

import { checkSession } from './session';
import type { Notice, Topic } from './types';

export type Connection = 'connecting' | 'live' | 'lost';

/** Collects what changes within this time into one refetch. */
export const SETTLE_MS = 300;
/** A stream of changes is shown at least this often. */
export const LONGEST_WAIT_MS = 1500;
/** Of so much time one part is spent on asking: a server that is slow is asked less often. */
const PARTS = 10;
/** Even then what changed is shown after this long. */
const LONGEST_PAUSE_MS = 30_000;

/**
 * Calls `work` once things are quiet for `settle` ms, and after `longest` ms at the latest; not
 * while the call before is at it, and not sooner than ten times what it took. `took` says that in
 * ms, and nothing while it is at it.
 */
export function coalesce(work: () => void, settle = SETTLE_MS, longest = LONGEST_WAIT_MS, took: () => number | undefined = () => 0) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let first = 0;
  let called = -Infinity;
  const call = () => {
    const last = took();
    const rest = last === undefined ? settle : called + Math.min(last * PARTS, LONGEST_PAUSE_MS) - Date.now();
    if (rest > 0) {
      timer = setTimeout(call, rest);
      return;
    }
    timer = undefined;
    called = Date.now();
    work();
  };
  return {
    ring() {
      const now = Date.now();
      if (timer === undefined) first = now;
      else clearTimeout(timer);
      timer = setTimeout(call, Math.max(0, Math.min(settle, first + longest - now)));
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

/** Calls `work` at once while somebody looks at the page, and else when they look again. */
export function whenLookedAt(work: () => void) {
  let owed = false;
  const look = () => {
    if (!owed || document.visibilityState !== 'visible') return;
    owed = false;
    work();
  };
  document.addEventListener('visibilitychange', look);
  return {
    call() {
      owed = true;
      look();
    },
    stop: () => document.removeEventListener('visibilitychange', look),
  };
}

/** Does a notice concern someone who shows these topics, of one study if named? */
export function concerns(notice: Notice, topics: readonly Topic[], studyUid?: string): boolean {
  if (!topics.includes(notice.topic)) return false;
  return studyUid === undefined || notice.study_uid === undefined || notice.study_uid === studyUid;
}

type Listener = (notice: Notice | 'reload') => void;

class Live {
  private connection: Connection = 'connecting';
  private readonly watchers = new Set<() => void>();
  private readonly listeners = new Set<Listener>();
  private source: EventSource | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempts = 0;

  private start() {
    if (this.source || this.timer !== undefined) return;
    const source = new EventSource('/api/v1/events');
    this.source = source;
    source.onopen = () => {
      const missed = this.connection === 'lost';
      this.attempts = 0;
      this.become('live');
      if (missed) this.tell('reload');
    };
    source.onerror = () => {
      this.become('lost');
      // The browser tries again by itself, unless the server refused: it may
      // know the person no longer.
      if (source.readyState !== EventSource.CLOSED) return;
      void checkSession();
      this.again();
    };
    source.addEventListener('changed', event => {
      try {
        this.tell(JSON.parse((event as MessageEvent<string>).data) as Notice);
      } catch {
        this.tell('reload');
      }
    });
    source.addEventListener('reload', () => this.tell('reload'));
  }

  private again() {
    this.source?.close();
    this.source = undefined;
    this.attempts += 1;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.start();
    }, Math.min(30_000, 1000 * 2 ** this.attempts));
  }

  /** Once nobody looks or listens, nobody may be signed in: the stream ends. */
  private rest() {
    if (this.watchers.size + this.listeners.size > 0) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.source?.close();
    this.source = undefined;
    this.connection = 'connecting';
  }

  private become(connection: Connection) {
    if (this.connection === connection) return;
    this.connection = connection;
    for (const watcher of this.watchers) watcher();
  }

  private tell(notice: Notice | 'reload') {
    for (const listener of this.listeners) listener(notice);
  }

  readonly watch = (watcher: () => void) => {
    this.start();
    this.watchers.add(watcher);
    return () => {
      this.watchers.delete(watcher);
      this.rest();
    };
  };

  readonly state = () => this.connection;

  listen(listener: Listener) {
    this.start();
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      this.rest();
    };
  }
}

const live = new Live();

export const useConnection = (): Connection => useSyncExternalStore(live.watch, live.state);

/**
 * Calls `changed` soon after something of these topics changed, or when the page is looked at
 * again. `took` says how many ms the last time took, and nothing while it is not over.
 */
export function useChanges(topics: readonly Topic[], changed: () => void, studyUid?: string, took: () => number | undefined = () => 0) {
  const latest = useRef({ changed, took });
  useEffect(() => {
    latest.current = { changed, took };
  });
  const key = topics.join();
  useEffect(() => {
    const page = whenLookedAt(() => latest.current.changed());
    const bell = coalesce(page.call, SETTLE_MS, LONGEST_WAIT_MS, () => latest.current.took());
    const wanted = key.split(',') as Topic[];
    const leave = live.listen(notice => {
      if (notice === 'reload' || concerns(notice, wanted, studyUid)) bell.ring();
    });
    return () => {
      leave();
      bell.stop();
      page.stop();
    };
  }, [key, studyUid]);
}
