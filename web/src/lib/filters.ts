// The worklist's filters live in the address, so that a filtered list can be
// reloaded, bookmarked and sent to a colleague's machine.

import type { Row } from './worklist';

/** What the API finds studies by. */
const ASKED = ['patient_name', 'patient_id', 'accession', 'modality', 'from', 'to'] as const;
/** Runs belong to another service than studies: `ai` chooses among the rows of the page shown. */
export const FILTERS = [...ASKED, 'ai'] as const;
export type FilterName = (typeof FILTERS)[number];
export type Filters = Partial<Record<FilterName, string>>;

/** Values of `ai`, as people read them. */
export const AI_STATES = {
  none: 'No model has run', working: 'Waiting or running', done: 'Done', problem: 'Refused or failed',
} as const;
type AiState = keyof typeof AI_STATES;

const KINDS: Record<AiState, readonly Row['ai']['kind'][]> = {
  none: ['none'], working: ['queued', 'running'], done: ['succeeded'], problem: ['refused', 'failed'],
};

const isAiState = (value: string): value is AiState => Object.hasOwn(AI_STATES, value);

export const PAGE_SIZE = 50;

export function readFilters(search: string): { filters: Filters; cursor: string | undefined } {
  const params = new URLSearchParams(search);
  const filters: Filters = {};
  for (const name of FILTERS) {
    const value = params.get(name)?.trim();
    if (value && (name !== 'ai' || isAiState(value))) filters[name] = value;
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
  for (const name of ASKED) {
    const value = filters[name]?.trim();
    if (!value) continue;
    const number = name === 'patient_id' || name === 'accession';
    query.push([name, number && !/[*?]/.test(value) ? `${value}*` : value]);
  }
  if (cursor) query.push(['cursor', cursor]);
  return query;
}

/** Is the row in this AI state? One whose state is unknown is never hidden. */
export function matchesAi({ ai }: Pick<Row, 'ai'>, state: string | undefined): boolean {
  if (!state || !isAiState(state) || ai.kind === 'unknown') return true;
  return KINDS[state].includes(ai.kind);
}
