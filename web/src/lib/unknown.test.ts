import { expect, test } from 'vitest';

import { called } from './unknown';

test('a caller is told of in a sentence', () => {
  const caller = { ae_title: 'CT1', address: '10.0.0.7', certificate_sha256: null };
  expect(called({ ...caller, count: 1 })).toBe('A machine that calls itself CT1 tried to reach Hilum from 10.0.0.7 once');
  expect(called({ ...caller, certificate_sha256: 'ab', count: 12 })).toBe(
    'A machine that calls itself CT1, with a certificate of its own, tried to reach Hilum from 10.0.0.7 12 times');
});
