// The worklist's filters live in the address, so that a filtered list can be
// reloaded, bookmarked and sent to a colleague's machine.

export const FILTERS = ['patient_name', 'patient_id', 'accession', 'modality', 'from', 'to'] as const;
export type FilterName = (typeof FILTERS)[number];
export type Filters = Partial<Record<FilterName, string>>;

export const PAGE_SIZE = 50;

export function readFilters(search: string): { filters: Filters; cursor: string | undefined } {
  const params = new URLSearchParams(search);
  const filters: Filters = {};
  for (const name of FILTERS) {
    const value = params.get(name)?.trim();
    if (value) filters[name] = value;
  }
  return { filters, cursor: params.get('cursor') ?? undefined };
}

/** The worklist's address under these filters. */
export function addressOf(filters: Filters, cursor?: string): string {
  const params = new URLSearchParams();
  for (const name of FILTERS) {
    const value = filters[name]?.trim();
    if (value) params.set(name, value);
  }
  if (cursor) params.set('cursor', cursor);
  const search = params.toString();
  return search ? `/?${search}` : '/';
}

/** What to ask the API. Numbers are found by how they begin, unless the person wrote wild cards. */
export function queryOf(filters: Filters, cursor?: string): [string, string][] {
  const query: [string, string][] = [['limit', String(PAGE_SIZE)]];
  for (const name of FILTERS) {
    const value = filters[name]?.trim();
    if (!value) continue;
    const number = name === 'patient_id' || name === 'accession';
    query.push([name, number && !/[*?]/.test(value) ? `${value}*` : value]);
  }
  if (cursor) query.push(['cursor', cursor]);
  return query;
}
