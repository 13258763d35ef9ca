// The address bar as state: six pages need no more than this.

import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from 'react';

const MOVED = 'hilum:moved';

function subscribe(changed: () => void) {
  addEventListener('popstate', changed);
  addEventListener(MOVED, changed);
  return () => {
    removeEventListener('popstate', changed);
    removeEventListener(MOVED, changed);
  };
}

const here = () => location.pathname + location.search;

export function navigate(to: string, replace = false) {
  if (to === here()) return;
  if (replace) history.replaceState(null, '', to);
  else {
    history.pushState(null, '', to);
    scrollTo(0, 0);
  }
  dispatchEvent(new Event(MOVED));
}

export function useLocation(): { path: string; search: string } {
  const [path = '/', search = ''] = useSyncExternalStore(subscribe, here).split('?', 2);
  return { path, search };
}

export type Route =
  | { page: 'worklist' }
  | { page: 'study'; uid: string }
  | { page: 'conflicts' | 'quarantine' | 'models' | 'status' | 'missing' };

export function routeOf(path: string): Route {
  const [first = '', second, ...rest] = path.split('/').filter(part => part !== '');
  if (rest.length > 0) return { page: 'missing' };
  if (first === '' && second === undefined) return { page: 'worklist' };
  if (first === 'studies' && second !== undefined && /^[0-9.]{1,64}$/.test(second)) return { page: 'study', uid: second };
  if (second === undefined && ['conflicts', 'quarantine', 'models', 'status'].includes(first)) {
    return { page: first as 'conflicts' | 'quarantine' | 'models' | 'status' };
  }
  return { page: 'missing' };
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
