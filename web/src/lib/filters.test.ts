import { expect, test } from 'vitest';

import { addressOf, matchesAi, queryOf, readFilters } from './filters';
import type { Row } from './worklist';

test('filters survive the address', () => {
  const filters = { patient_name: 'Müller & Söhne', modality: 'MR', from: '2024-01-01' };
  expect(readFilters(addressOf(filters).slice(2)).filters).toEqual(filters);
  expect(addressOf({ patient_name: '  ' })).toBe('/');
});

test('the address may hold anything; only known filters are read', () => {
  expect(readFilters('evil=1&patient_id=%20A1%20&cursor=c')).toEqual({ filters: { patient_id: 'A1' }, cursor: 'c' });
});

test('numbers are found by how they begin, unless wild cards are written', () => {
  expect(queryOf({ patient_id: '12', accession: 'A?3', patient_name: 'doe' })).toEqual([
    ['limit', '50'], ['patient_name', 'doe'], ['patient_id', '12*'], ['accession', 'A?3'],
  ]);
});

test('the AI state is kept in the address and not asked of the API', () => {
  expect(addressOf({ ai: 'done' }, 'c')).toBe('/?ai=done&cursor=c');
  expect(readFilters('ai=done').filters).toEqual({ ai: 'done' });
  expect(readFilters('ai=constructor').filters).toEqual({});
  expect(queryOf({ ai: 'done' })).toEqual([['limit', '50']]);
});

test('each AI state finds its rows and no others', () => {
  const every = ['none', 'queued', 'running', 'succeeded', 'refused', 'failed'] as const;
  const found = (state: string | undefined) => every.filter(kind => matchesAi({ ai: { kind } as Row['ai'] }, state));
  expect(found(undefined)).toEqual(every);
  expect(found('none')).toEqual(['none']);
  expect(found('working')).toEqual(['queued', 'running']);
  expect(found('done')).toEqual(['succeeded']);
  expect(found('problem')).toEqual(['refused', 'failed']);
});

test('a study whose AI state is unknown is not hidden', () => {
  expect(matchesAi({ ai: { kind: 'unknown' } }, 'none')).toBe(true);
});
