import { expect, test } from 'vitest';

import { age, ago, bytes, dicomDate, dicomTime, duration, measured, quantity, secondsBetween, source, step } from './format';

test('a DICOM date that is no date is shown as it came', () => {
  expect(dicomDate('20240229')).toMatch(/2024/);
  expect(dicomDate('20240231')).toBe('20240231');
  expect(dicomDate('about 1950')).toBe('about 1950');
  expect(dicomDate('')).toBe('');
});

test('a DICOM time is shown to the minute', () => {
  expect(dicomTime('093015.25')).toBe('09:30');
  expect(dicomTime('9')).toBe('');
});

test('an age is counted in whole years on the day of the study', () => {
  expect(age('19600615', '20240614')).toBe(63);
  expect(age('19600615', '20240615')).toBe(64);
  expect(age('', '20240615')).toBeUndefined();
  expect(age('20250101', '20240615')).toBeUndefined();
});

test('times that were never are unknown, not zero', () => {
  expect(secondsBetween('2026-01-01T10:00:00Z', '2026-01-01T10:00:04.5Z')).toBe(4.5);
  expect(secondsBetween(null, '2026-01-01T10:00:00Z')).toBeUndefined();
  expect(secondsBetween('2026-01-01T10:00:01Z', '2026-01-01T10:00:00Z')).toBeUndefined();
});

test('durations keep the precision that matters', () => {
  expect(duration(3.21)).toBe('3.2 s');
  expect(duration(42.4)).toBe('42 s');
  expect(duration(125)).toBe('2 min 05 s');
  expect(duration(7260)).toBe('2 h 01 min');
});

test('a clock that runs ahead says just now', () => {
  const now = Date.parse('2026-01-01T10:00:00Z');
  expect(ago('2026-01-01T10:05:00Z', now)).toBe('just now');
  expect(ago('2026-01-01T09:48:00Z', now)).toBe('12 min ago');
  expect(ago('2025-12-30T10:00:00Z', now)).toBe('2 d ago');
});

test('a measurement says what was measured, once', () => {
  expect(measured({ segment: 'Brain', meaning: 'Volume' })).toBe('Brain volume');
  expect(measured({ segment: 'Brain', meaning: 'Brain volume' })).toBe('Brain volume');
  expect(quantity({ value: 1292.53, unit: 'cm3' })).toBe('1292.5 cm³');
  expect(quantity({ value: 0.034, unit: 'cm3' })).toBe('0.034 cm³');
  expect(quantity({ value: 3, unit: 'furlong' })).toBe('3.0 furlong');
});

test('bytes and sources are written for people', () => {
  expect(bytes(999)).toBe('999 B');
  expect(bytes(2_490_000)).toBe('2.5 MB');
  expect(source('dimse:SCANNER1')).toBe('SCANNER1');
  expect(source('stow')).toBe('DICOMweb');
});

test('a step that is not known is shown in its own words', () => {
  expect(step('network')).toBe('Running the network');
  expect(step('largest component')).toBe('Largest component');
  expect(step(null)).toBe('');
});
