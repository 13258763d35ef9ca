import { expect, test } from 'vitest';

import type { PatientMerge, Study } from '../api/types';
import { mergesOf, named, patientsUnder } from './merges';

const merge = (id: number, prior: string, surviving: string, issuer?: string): PatientMerge => ({
  id, prior: { id: prior }, surviving: issuer ? { id: surviving, issuer } : { id: surviving }, reason: '', by: '', at: '', studies: 1,
});
const study = (id: string, issuer: string, name: string) => ({ patient: { id, issuer, name, birth_date: '', sex: '' } }) as Study;

test('merges are found along several, but not those of others', () => {
  const all = [merge(4, 'NEW', 'LAST'), merge(3, 'A', 'B'), merge(2, 'OLD', 'NEW'), merge(1, 'OTHER', 'LAST', 'elsewhere')];
  expect(mergesOf(all, { id: 'LAST', issuer: '' }).map(one => one.id)).toEqual([4, 2]);
  expect(mergesOf(all, { id: 'NEW', issuer: '' }).map(one => one.id)).toEqual([4, 2]);
  expect(mergesOf(all, { id: 'LAST', issuer: 'elsewhere' }).map(one => one.id)).toEqual([1]);
});

test('merges that lead in a circle end', () => {
  expect(mergesOf([merge(1, 'A', 'B'), merge(2, 'B', 'A')], { id: 'A' })).toHaveLength(2);
});

test('a Patient ID is one patient for each issuer, as the newest study has it', () => {
  const found = patientsUnder('1', [study('1', '', 'Newest'), study('1', '', 'Older'), study('1', 'X', 'Other'), study('12', '', 'None')]);
  expect(found.map(one => [one.patient.name, one.studies])).toEqual([['Newest', 2], ['Other', 1]]);
  expect(named({ id: '1', issuer: 'X' })).toBe('1 (X)');
});
