// The button below a list that goes on.

import type { Pages } from '../api/usePages';

export function More<T>({ pages }: { pages: Pages<T> }) {
  if (!pages.items || (!pages.more && !pages.loading)) return null;
  return <p className="more"><button type="button" className="button" disabled={!pages.more} onClick={pages.more}>{pages.more ? 'Show more' : 'Loading'}</button></p>;
}
