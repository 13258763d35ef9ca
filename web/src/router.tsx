// The address bar as state: a few dozen pages need no more than this.

import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from 'react';

const MOVED = 'hilum:moved';

function subscribe(changed: () => void) {
  const events = ['popstate', 'hashchange', MOVED];
  for (const name of events) addEventListener(name, changed);
  return () => {
    for (const name of events) removeEventListener(name, changed);
  };
}

const here = () => location.pathname + location.search + location.hash;

export function navigate(to: string, replace = false) {
  if (to === here()) return;
  if (replace) history.replaceState(null, '', to);
  else {
    history.pushState(null, '', to);
    scrollTo(0, 0);
  }
  dispatchEvent(new Event(MOVED));
}

export interface Place {
  path: string;
  search: string;
  /** What stands behind `#`, which no server is sent. */
  fragment: string;
}

export function useLocation(): Place {
  const [before = '', ...fragment] = useSyncExternalStore(subscribe, here).split('#');
  const [path = '/', search = ''] = before.split('?', 2);
  return { path, search, fragment: fragment.join('#') };
}

/** Pages that a link in a message opens, with a token that works once. */
export const LINKS = ['set-up', 'invitation', 'reset', 'verify'] as const;
export type LinkPage = (typeof LINKS)[number];

/** Pages of somebody who has not signed in. */
export const GATES = ['sign-in', 'sign-up', 'forgotten'] as const;
export type Gate = (typeof GATES)[number];

/** Pages below `/admin/`. */
export const ADMIN = ['people', 'roles', 'devices', 'destinations', 'keys', 'audit', 'emergency', 'storage', 'settings'] as const;
export type AdminPage = (typeof ADMIN)[number];

const PLAIN = ['conflicts', 'quarantine', 'jobs', 'models', 'status', 'account', 'admin'] as const;

export type Route =
  | { page: 'worklist' }
  | { page: 'study'; uid: string }
  | { page: 'administration'; of: AdminPage }
  | { page: 'link'; of: LinkPage; token: string }
  | { page: 'gate'; of: Gate }
  | { page: (typeof PLAIN)[number] | 'missing' };

const among = <T extends string>(names: readonly T[], name: string | undefined): name is T =>
  name !== undefined && (names as readonly string[]).includes(name);

/** A token stands in the fragment, `/set-up#TOKEN` or `/#/set-up/TOKEN`: in no log and no Referer. */
export function routeOf(path: string, fragment = ''): Route {
  const [first = '', second, ...rest] = path.split('/').filter(part => part !== '');
  if (rest.length > 0) return { page: 'missing' };
  if (first === '') {
    const [, of, token] = /^\/([a-z-]+)\/([\w-]+)$/.exec(fragment) ?? [];
    return among(LINKS, of) ? { page: 'link', of, token: token ?? '' } : { page: 'worklist' };
  }
  if (first === 'studies' && second !== undefined && /^[0-9.]{1,64}$/.test(second)) return { page: 'study', uid: second };
  if (first === 'admin' && among(ADMIN, second)) return { page: 'administration', of: second };
  if (second === undefined) {
    if (among(LINKS, first)) return { page: 'link', of: first, token: /^[\w-]+$/.test(fragment) ? fragment : '' };
    if (among(GATES, first)) return { page: 'gate', of: first };
    if (among(PLAIN, first)) return { page: first };
  }
  return { page: 'missing' };
}

/** Where to go after signing in: an address of this application, or its beginning. */
export function localAddress(wanted: string | null, origin: string): string {
  // Browsers read `\\` as `/`, and leave out tabs and line ends.
  if (!wanted || !/^\/(?![\\/])[^\\\s]*$/.test(wanted)) return '/';
  const url = URL.canParse(wanted, origin) ? new URL(wanted, origin) : undefined;
  if (!url || url.origin !== origin || /^\/(auth|api)(\/|$)/.test(url.pathname)) return '/';
  return url.pathname + url.search + url.hash;
}

export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (event.defaultPrevented || !plain) return;
    event.preventDefault();
    navigate(href);
  };
  return <a href={href} onClick={follow} {...rest} />;
}
