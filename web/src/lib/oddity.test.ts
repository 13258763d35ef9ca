import { expect, test } from 'vitest';

import { oddity } from './oddity';

test('an oddity names its attribute as the standard writes it', () => {
  expect(oddity('wrong-vr:00280106')).toBe('Unexpected value representation (0028,0106)');
});

test('an oddity that this version does not know is shown as it is', () => {
  expect(oddity('something-new')).toBe('something-new');
});
