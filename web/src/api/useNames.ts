// The names of those who made something and are told by their ids.

import { useEffect, useState } from 'react';

import { admin } from './admin';
import { useMay } from './session';
import type { Page } from './types';

/** Pages of 200 that are looked through for names: few people make keys. */
const PAGES_MAX = 10;

type List = (after: string | undefined, signal: AbortSignal) => Promise<Page<{ id: string; name: string }>>;

async function look(list: List, prefix: string, wanted: Set<string>, found: Map<string, string>, signal: AbortSignal) {
  let after: string | undefined;
  for (let page = 0; page < PAGES_MAX && [...wanted].some(who => who.startsWith(prefix) && !found.has(who)); page += 1) {
    const { items, next } = await list(after, signal);
    for (const one of items) found.set(prefix + one.id, one.name);
    if (!next) return;
    after = next;
  }
}

/** Names by who it was (`person ID`), as far as they are known. */
export function useNames(whos: string[]): Map<string, string> {
  const may = useMay();
  const [names, setNames] = useState(new Map<string, string>());
  const missing = [...new Set(whos)].filter(who => !names.has(who)).sort().join('\n');
  const people = may('view-people');
  const keys = may('view-keys');
  useEffect(() => {
    if (!missing) return;
    const abort = new AbortController();
    const wanted = new Set(missing.split('\n'));
    const found = new Map<string, string>();
    const ask = async () => {
      if (people) await look((after, signal) => admin.people('', after, signal, '200'), 'person ', wanted, found, abort.signal);
      if (keys) await look((after, signal) => admin.keys(after, signal, '200'), 'API key ', wanted, found, abort.signal);
      // What has no name is asked for once, too.
      for (const who of wanted) if (!found.has(who)) found.set(who, '');
      if (!abort.signal.aborted) setNames(before => new Map([...before, ...found]));
    };
    // Without names the list is shown all the same.
    ask().catch(() => undefined);
    return () => abort.abort();
  }, [missing, people, keys]);
  return names;
}
