import { expect, test } from 'vitest';

import { localAddress, routeOf } from './router';

test('an address leads to its page', () => {
  expect(routeOf('/')).toEqual({ page: 'worklist' });
  expect(routeOf('/studies/1.2.840.1')).toEqual({ page: 'study', uid: '1.2.840.1' });
  expect(routeOf('/status/')).toEqual({ page: 'status' });
  expect(routeOf('/admin')).toEqual({ page: 'admin' });
  expect(routeOf('/admin/people')).toEqual({ page: 'administration', of: 'people' });
  expect(routeOf('/sign-in')).toEqual({ page: 'gate', of: 'sign-in' });
});

test('what is no address of the application is missing', () => {
  for (const path of ['/studies', '/studies/', '/studies/a', '/studies/1.2/x', '/nothing', '/status/1', '/studies/%3Cimg%3E', '/admin/nothing', '/admin/people/1', '/sign-in/x']) {
    expect(routeOf(path), path).toEqual({ page: 'missing' });
  }
});

test('a token comes in the fragment, in either form', () => {
  const link = { page: 'link', of: 'set-up', token: 'a-B_9' };
  expect(routeOf('/set-up', 'a-B_9')).toEqual(link);
  expect(routeOf('/', '/set-up/a-B_9')).toEqual(link);
  expect(routeOf('/invitation', '')).toEqual({ page: 'link', of: 'invitation', token: '' });
  expect(routeOf('/reset', '<img>')).toEqual({ page: 'link', of: 'reset', token: '' });
  expect(routeOf('/', 'main')).toEqual({ page: 'worklist' });
  expect(routeOf('/', '/elsewhere/x')).toEqual({ page: 'worklist' });
});

test('one returns to addresses of this application only', () => {
  const here = 'https://hilum.example';
  for (const good of ['/', '/studies/1.2', '/viewer/viewer?StudyInstanceUIDs=1.2', '/admin/people?q=a#x']) {
    expect(localAddress(good, here), good).toBe(good);
  }
  for (const bad of [
    null, '', 'https://evil.example/', '//evil.example', '/\\evil.example', '\\\\evil.example', '/\t/evil.example',
    '/x\\..\\', 'javascript:alert(1)', 'studies', '/auth/sign-out', '/api/v1/people', ' /', '/\n/evil.example',
  ]) {
    expect(localAddress(bad, here), String(bad)).toBe('/');
  }
});
