import { expect, test } from 'vitest';

import { ACTS, byRight, counted, did, who } from './sentence';

const person = { who: { kind: 'person', id: '1', name: 'Anna Berg' } } as const;

test('an entry reads as a sentence', () => {
  expect(`${who(person)} ${did({ act: 'view-study', subjects: [{ kind: 'patient', id: '7' }, { kind: 'study', uid: '1.2.3' }] })}`)
    .toBe('Anna Berg viewed the study 1.2.3');
  expect(did({ act: 'erase', subjects: [{ kind: 'erased' }] })).toBe('erased a patient');
  expect(did({ act: 'query', subjects: [{ kind: 'query', text: 'PatientName=berg*' }] })).toBe('searched for “PatientName=berg*”');
});

test('a sentence without anybody ends before it would name them', () => {
  for (const act of Object.keys(ACTS)) expect(did({ act, subjects: [] }), act).not.toMatch(/\{|\}|\s$|\b(of|on|for|to)$/);
  expect(did({ act: 'retrieve', subjects: [] })).toBe('retrieved images');
});

test('what stands in an entry is text, whatever it looks like', () => {
  expect(did({ act: 'query', subjects: [{ kind: 'query', text: '$& {} <b>' }] })).toBe('searched for “$& {} <b>”');
});

test('many are counted', () => {
  const subjects = [1, 2, 3, 4, 5].map(n => ({ kind: 'study', uid: `1.${n}` }) as const);
  expect(did({ act: 'export', subjects })).toBe('exported images of the study 1.1, the study 1.2, the study 1.3 and 2 more');
});

test('an act that is not known yet says its name', () => {
  expect(did({ act: 'something-new', subjects: [] })).toBe('did “something-new”');
});

test('a count is of images where images went', () => {
  expect(counted({ act: 'retrieve', count: 1 })).toBe('1 image');
  expect(counted({ act: 'view-study', count: 3 })).toBe('3 times');
  expect(counted({ act: 'sign-in', count: 1 })).toBe('');
});

test('emergency access is said', () => {
  expect(byRight('break-glass')).toBe('by emergency access');
  expect(byRight('role radiologist')).toBe('');
});
