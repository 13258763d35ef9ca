import { expect, test } from 'vitest';

import type { Delivery, InputSet, Run, StudyDetail } from '../api/types';

import { seriesIn, timeline } from './timeline';

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 10, 0, 0) + seconds * 1000).toISOString();

const set = (change: Partial<InputSet> = {}): InputSet => ({
  id: 'i', revision: 1, state: 'ready', reason_code: 'association-released', reason: 'The sender was done.', quiet_seconds: 3,
  instance_count: 20, correlation_id: '', opened_at: at(0), last_instance_at: at(4), ready_at: at(7), ...change,
});
const study = (...input_sets: InputSet[]) => ({
  series: [
    { series_uid: '1', number: 2, modality: 'MR', description: 'T1', instance_count: 20, oddities: [], input_sets },
    { series_uid: '2', number: 9000, modality: 'SEG', description: 'Mask', instance_count: 1, oddities: [], input_sets: [] },
  ],
}) as unknown as StudyDetail;
const run = (change: Partial<Run> = {}) => ({
  model: { name: 'brain', version: '1', title: 'Brain' }, state: 'succeeded', reason: null,
  queued_at: at(7), started_at: at(8), finished_at: at(18), last_slice_at: at(4), ...change,
}) as Run;
const delivery = (change: Partial<Delivery> = {}) => ({
  destination: 'PACS', instances_sent: 2, created_at: at(18), delivered_at: at(20), ...change,
}) as Delivery;

test('a study goes from its first image to the delivered result', () => {
  expect(timeline(study(set()), [run()], [delivery()])).toEqual([
    { at: at(0), what: 'First image of T1', details: [], tone: 'quiet' },
    { at: at(4), what: 'Last image of T1', details: ['20 images in all', 'received within 4.0 s'], tone: 'quiet' },
    { at: at(7), what: 'T1 complete', details: ['3.0 s after the last image', 'The sender was done.'], tone: 'good' },
    { at: at(8), what: 'Brain started', details: ['waited 1.0 s'], tone: 'quiet' },
    { at: at(18), what: 'Result of Brain', details: ['ran 10 s', '14 s after the last image'], tone: 'good' },
    { at: at(20), what: 'Delivered to PACS', details: ['2 objects', '2.0 s after the result'], tone: 'good' },
  ]);
});

test('while images come, none is called the last', () => {
  const steps = timeline(study(set({ state: 'receiving', ready_at: null, reason: null })), [], []);
  expect(steps.map(step => step.what)).toEqual(['First image of T1']);
});

test('an incomplete series ends with its last image, and why', () => {
  const steps = timeline(study(set({ state: 'incomplete', ready_at: null, reason: 'The sender broke off.' })), [], []);
  expect(steps.at(-1)).toEqual({
    at: at(4), what: 'Last image of T1', details: ['20 images in all', 'received within 4.0 s', 'The sender broke off.'], tone: 'warn',
  });
});

test('a later revision is more of the same series, in the order of time', () => {
  const steps = timeline(study(set(), set({ revision: 2, opened_at: at(30), last_instance_at: at(31), ready_at: at(34) })), [run()], []);
  expect(steps.map(step => step.what).slice(4)).toEqual(['Result of Brain', 'More images of T1', 'Last image of T1', 'T1 complete']);
});

test('what did not work says why, and what has not happened has no step', () => {
  const refused = timeline(study(), [run({ state: 'refused', reason: 'Slices are missing.' })], [delivery({ delivered_at: null })]);
  expect(refused.at(-1)).toEqual({ at: at(18), what: 'Not run: Brain', details: ['Slices are missing.'], tone: 'warn' });
  expect(timeline(study(), [run({ state: 'queued', started_at: null, finished_at: null })], []).map(step => step.what)).toEqual(['Brain queued']);
  expect(timeline(study(set({ opened_at: 'never', state: 'receiving', ready_at: null })), [], [])).toEqual([]);
});

test('a series is in the state of its newest revision', () => {
  const again = study(set(), set({ revision: 2, state: 'receiving' }));
  expect(seriesIn(again, 'receiving')).toHaveLength(1);
  expect(seriesIn(again, 'ready')).toHaveLength(0);
});
