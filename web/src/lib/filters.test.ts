import { expect, test } from 'vitest';

import { addressOf, queryOf, readFilters } from './filters';

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
