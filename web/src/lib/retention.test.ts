import { expect, test } from 'vitest';

import { retention } from './retention';

test('a rule reads as a sentence', () => {
  expect(retention({ modalities: ['MG', 'US'], since: 'study-date', keep_days: 10_950, expire_days: null }))
    .toBe('Studies with MG, US: kept at least 30 years from Study Date');
  expect(retention({ modalities: [], since: 'reception', keep_days: 1, expire_days: 400 }))
    .toBe('Every study: kept at least 1 day, deleted after 400 days from when its last image came');
});
