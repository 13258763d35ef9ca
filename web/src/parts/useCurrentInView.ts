// Keeps the link of the page that shows in sight, where a row of links is
// longer than the screen.

import { type RefObject, useEffect, useRef } from 'react';

export function useCurrentInView<T extends HTMLElement>(page: string): RefObject<T | null> {
  const row = useRef<T>(null);
  useEffect(() => {
    const current = row.current?.querySelector<HTMLElement>('[aria-current]');
    // Not scrollIntoView, which moves the page too.
    if (row.current && current) row.current.scrollLeft = current.offsetLeft - (row.current.clientWidth - current.offsetWidth) / 2;
  }, [page]);
  return row;
}
