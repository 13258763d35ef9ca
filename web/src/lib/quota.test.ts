import { expect, test } from 'vitest';

import { gigabytes, toBytes } from './quota';

test('what is shown in gigabytes is what was stored', () => {
  expect(gigabytes(null)).toBe('');
  expect(toBytes(' ')).toBeNull();
  expect(gigabytes(1_500_000_000)).toBe('1.5');
  for (const bytes of [1e9, 2.5e12, 0]) expect(toBytes(gigabytes(bytes))).toBe(bytes);
});
