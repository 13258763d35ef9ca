import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { coalesce, concerns, whenLookedAt } from './live';

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

test('a server that takes long is asked again after ten times as long, and not before', () => {
  const work = vi.fn();
  const bell = coalesce(work, 300, 1500, () => 500);
  bell.ring();
  vi.advanceTimersByTime(300);
  expect(work).toHaveBeenCalledTimes(1);
  bell.ring();
  vi.advanceTimersByTime(4999);
  expect(work).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1);
  expect(work).toHaveBeenCalledTimes(2);
});

test('what is being asked is not asked again before it is answered', () => {
  const work = vi.fn();
  let took: number | undefined;
  const bell = coalesce(work, 300, 1500, () => took);
  bell.ring();
  vi.advanceTimersByTime(3000);
  expect(work).not.toHaveBeenCalled();
  took = 20;
  vi.advanceTimersByTime(300);
  expect(work).toHaveBeenCalledTimes(1);
});

test('a page that nobody looks at asks once, when somebody does again', () => {
  const page = new EventTarget() as EventTarget & { visibilityState: string };
  page.visibilityState = 'hidden';
  vi.stubGlobal('document', page);
  const work = vi.fn();
  const { call, stop } = whenLookedAt(work);
  call();
  call();
  expect(work).not.toHaveBeenCalled();
  page.visibilityState = 'visible';
  page.dispatchEvent(new Event('visibilitychange'));
  expect(work).toHaveBeenCalledTimes(1);
  page.dispatchEvent(new Event('visibilitychange'));
  call();
  expect(work).toHaveBeenCalledTimes(2);
  stop();
  vi.unstubAllGlobals();
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
