import { expect, test } from 'vitest';

import { rejection } from './rejection';

test('each title of a rejection note has words, and one that is unknown its code', () => {
  expect(rejection('113037')).toBe('rejected for the safety of the patient.');
  expect(new Set(['113001', '113037', '113038', '113039'].map(rejection)).size).toBe(4);
  expect(rejection('1')).toBe('rejected (1).');
});
