import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { coalesce, concerns } from './live';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a burst of changes is one refetch', () => {
  const work = vi.fn();
  const bell = coalesce(work, 300, 1500);
  for (let n = 0; n < 4; n += 1) bell.ring();
  vi.advanceTimersByTime(299);
  expect(work).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(work).toHaveBeenCalledTimes(1);
});

test('a stream of changes does not put the refetch off for ever', () => {
  const work = vi.fn();
  const bell = coalesce(work, 300, 1500);
  for (let ms = 0; ms < 3000; ms += 100) {
    bell.ring();
    vi.advanceTimersByTime(100);
  }
  expect(work.mock.calls.length).toBeGreaterThanOrEqual(1);
});

test('what was stopped does not ring', () => {
  const work = vi.fn();
  const bell = coalesce(work);
  bell.ring();
  bell.stop();
  vi.runAllTimers();
  expect(work).not.toHaveBeenCalled();
});

test('a notice of another study is not for this page', () => {
  expect(concerns({ topic: 'runs', study_uid: '1' }, ['runs'], '1')).toBe(true);
  expect(concerns({ topic: 'runs', study_uid: '2' }, ['runs'], '1')).toBe(false);
  expect(concerns({ topic: 'runs' }, ['runs'], '1')).toBe(true);
  expect(concerns({ topic: 'patients' }, ['runs'])).toBe(false);
});
