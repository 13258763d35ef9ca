import { expect, test } from 'vitest';

import { browser } from './browser';

test('a browser is named as its user knows it', () => {
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
  expect(browser(chrome)).toBe('Chrome on Linux');
  expect(browser(`${chrome.replace('X11; Linux x86_64', 'Windows NT 10.0; Win64; x64')} Edg/140.0`)).toBe('Edge on Windows');
  expect(browser('Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile/15E148 Safari/604.1')).toBe('Safari on iOS');
  expect(browser('curl/8.1')).toBe('curl');
  expect(browser('<img src=x>')).toBe('<img src=x>');
  expect(browser('')).toBe('Unknown browser');
});
