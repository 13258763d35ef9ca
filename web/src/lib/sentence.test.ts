import { expect, test } from 'vitest';

import { ACTS, acted, counted, did, remarks, who } from './sentence';

const anna = { who: 'person 1', right: 'radiologist', name: 'Anna Berg' };

test('an entry reads as a sentence', () => {
  expect(`${who(anna)} ${did({ action: 'view-study', subjects: [{ kind: 'patient', value: '7' }, { kind: 'study', value: '1.2.3' }] })}`)
    .toBe('Anna Berg viewed the study 1.2.3');
  expect(did({ action: 'erase', subjects: [{ kind: 'erased' }] })).toBe('erased a patient');
  expect(did({ action: 'query', subjects: [{ kind: 'query', value: 'PatientName=berg*' }] })).toBe('searched for “PatientName=berg*”');
  expect(did({ action: 'sign-in-failed', subjects: [{ kind: 'account', value: 'a@b.org' }] })).toBe('tried to sign in as a@b.org and could not');
  expect(did({ action: 'break-glass', subjects: [{ kind: 'reason', value: 'stroke' }] })).toBe('took emergency access: “stroke”');
});

test('a sentence without anybody ends before it would name them', () => {
  for (const act of Object.keys(ACTS)) expect(did({ action: act, subjects: [] }), act).not.toMatch(/\{|\}|\s$|\b(of|on|for|to|as)$/);
  expect(did({ action: 'retrieve', subjects: [] })).toBe('retrieved images');
});

test('what stands in an entry is text, whatever it looks like', () => {
  expect(did({ action: 'query', subjects: [{ kind: 'query', value: '$& {} <b>' }] })).toBe('searched for “$& {} <b>”');
});

test('many are counted', () => {
  const subjects = [1, 2, 3, 4, 5].map(n => ({ kind: 'study', value: `1.${n}` }) as const);
  expect(did({ action: 'export', subjects })).toBe('exported images of the study 1.1, the study 1.2, the study 1.3 and 2 more');
});

test('an act that is not known yet says its name', () => {
  expect(did({ action: 'something-new', subjects: [] })).toBe('did “something-new”');
});

test('a count is of images where images went', () => {
  expect(counted({ action: 'retrieve', count: 1, details: {} })).toBe('1 image');
  expect(counted({ action: 'view-study', count: 3, details: {} })).toBe('3 times');
  expect(counted({ action: 'sign-in', count: 1, details: {} })).toBe('');
  expect(counted({ action: 'view-study', count: 1, details: { repeats: '1' } })).toBe('again, 1 time');
});

test('who did it is named as people know them', () => {
  expect(who({ who: 'person 2', right: 'owner' })).toBe('A person who left');
  expect(who({ who: 'API key 9', right: 'integration' })).toBe('The key 9');
  expect(who({ who: 'device CT 1', right: 'device' })).toBe('The device CT 1');
  expect(who({ who: 'local operator', right: 'operator' })).toBe('The operator of this machine');
  expect(who({ who: 'service inference', right: 'continuation' })).toBe('Hilum');
});

test('who was acted on is somebody else than who acted', () => {
  expect(acted({ who: 'person 1', details: { person: '2', role: 'owner' } })).toEqual(['person 2']);
  expect(acted({ who: 'person 1', details: { person: '1', change: 'renamed' } })).toEqual([]);
  expect(acted({ who: 'person 1', details: { key: '9' } })).toEqual(['API key 9']);
});

test('what else is known is told once, and without ids', () => {
  expect(remarks({ action: 'view-administration', details: { setting: 'people', repeats: '3', session: '7' } })).toEqual(['page people']);
  expect(remarks({ action: 'change-role', details: { role: 'owner', person: '2' } })).toEqual(['role owner']);
});
