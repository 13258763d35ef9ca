import { expect, test } from 'vitest';

import { routeOf } from './router';

test('addresses lead to their pages', () => {
  expect(routeOf('/')).toEqual({ page: 'worklist' });
  expect(routeOf('/studies/1.2.840.1')).toEqual({ page: 'study', uid: '1.2.840.1' });
  expect(routeOf('/conflicts/')).toEqual({ page: 'conflicts' });
});

test('anything else is missing', () => {
  for (const path of ['/studies', '/studies/../x', '/studies/1.2/more', '/nothing', '/models/x']) {
    expect(routeOf(path)).toEqual({ page: 'missing' });
  }
});
