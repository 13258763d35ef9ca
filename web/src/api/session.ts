// Who is signed in, as the server says. Asked at the start, when any answer
// says that nobody is any more, and when the page is looked at again.

import { createContext, useContext, useSyncExternalStore } from 'react';

import type { Action, AuthState } from './access';
import { auth } from './auth';
import { whenSignedOut } from './http';

export type Session =
  | { kind: 'asking' }
  | { kind: 'unreachable'; error: Error }
  | { kind: 'known'; auth: AuthState };

let session: Session = { kind: 'asking' };
let asking: Promise<void> | undefined;
const watchers = new Set<() => void>();

function become(next: Session) {
  session = next;
  for (const watcher of watchers) watcher();
}

/** Asks the server again; what is known stays until it answers. */
export function checkSession(): Promise<void> {
  asking ??= auth.state().then(
    state => become({ kind: 'known', auth: state }),
    (error: unknown) => {
      if (session.kind !== 'known') become({ kind: 'unreachable', error: error instanceof Error ? error : new Error(String(error)) });
    },
  ).finally(() => {
    asking = undefined;
  });
  return asking;
}

export function keepSession() {
  whenSignedOut(() => void checkSession());
  addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void checkSession();
  });
  // A page that Back brings out of memory may show what its reader may not see any more.
  addEventListener('pageshow', event => {
    if (event.persisted) location.reload();
  });
  void checkSession();
}

function watch(watcher: () => void) {
  watchers.add(watcher);
  return () => {
    watchers.delete(watcher);
  };
}

export const useSession = (): Session => useSyncExternalStore(watch, () => session);

/** Loads everything anew: nothing of one person or tenant stays in memory for another. */
export function startAfresh(at = '/') {
  location.replace(at);
}

export async function signOut() {
  await auth.signOut();
  startAfresh();
}

export const SignedIn = createContext<AuthState | undefined>(undefined);

/** Who is signed in, on pages that show only then. */
export function useAuth(): AuthState {
  const state = useContext(SignedIn);
  if (!state) throw new Error('nobody is signed in');
  return state;
}

/** What the person may do. What is hidden here is refused by the server all the same. */
export function useMay(): (action: Action) => boolean {
  const { actions } = useAuth();
  return action => actions.includes(action);
}
