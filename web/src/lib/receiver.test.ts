import { expect, test } from 'vitest';

import { receiver } from './receiver';

test('images are sent to the address that Hilum listens on', () => {
  expect(receiver('127.0.0.1:4242', 'pacs.example')).toEqual(['127.0.0.1', '4242']);
  expect(receiver('[::1]:104', 'pacs.example')).toEqual(['[::1]', '104']);
});

test('every interface is reached under the name of the page', () => {
  expect(receiver('0.0.0.0:11112', 'pacs.example')).toEqual(['pacs.example', '11112']);
  expect(receiver('[::]:11112', 'pacs.example')).toEqual(['pacs.example', '11112']);
});
