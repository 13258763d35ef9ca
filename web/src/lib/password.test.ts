import { expect, test } from 'vitest';

import { passwordAdvice } from './password';

test('a short password is told what is missing, in characters as people count them', () => {
  expect(passwordAdvice('elevenchars')).toMatch(/^1 more character\./);
  expect(passwordAdvice('🐎🐎')).toMatch(/^10 more characters\./);
  expect(passwordAdvice('correct horse battery')).toBe('Long enough.');
  expect(passwordAdvice('')).toMatch(/At least 12/);
});
