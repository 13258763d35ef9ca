import { expect, test } from 'vitest';

import type { Delivery, Run } from '../api/types';

import { viewerAddress } from './viewer';
import { currentRuns, rows, summarize, summarizeDeliveries } from './worklist';

const run = (change: Partial<Run>): Run => ({
  id: 'r', study_uid: '1.2', series_uid: '1.2.3', input_set_id: 'i', input_revision: 1,
  model: { name: 'brain', version: '1', title: 'Brain' }, state: 'succeeded', progress: 1, step: null, attempts: 1,
  reason: null, warnings: [], measurements: [], result_instances: [], queued_at: '2026-01-01T00:00:00Z',
  started_at: null, finished_at: null, last_slice_at: null, seconds_model: null, intended_use: '',
  not_for_clinical_use: true, ...change,
});
const delivery = (state: Delivery['state']): Delivery => ({
  id: state, run_id: 'r', study_uid: '1.2', destination: 'PACS', destination_removed: false, correlation_id: '', state, reason: null,
  instances_total: 2, instances_sent: 0, attempts: 0, next_attempt_at: null, created_at: '', delivered_at: null,
});

test('a later revision replaces the result of the one before', () => {
  const volume = (value: number) => [{ code: 'v', meaning: 'Volume', value, unit: 'cm3', segment: 'Brain' }];
  const runs = [run({ id: 'old', measurements: volume(1) }), run({ id: 'new', input_revision: 2, measurements: volume(2) })];
  expect(currentRuns(runs).map(one => one.id)).toEqual(['new']);
  expect(summarize(runs)).toEqual({ kind: 'succeeded', results: ['Brain volume 2.0 cm³'], warnings: 0 });
});

test('a superseded run is no result', () => {
  expect(summarize([run({ state: 'superseded' })])).toEqual({ kind: 'none' });
});

test('what runs comes before what failed, and what failed before results', () => {
  const other = { model: { name: 'lung', version: '1', title: 'Lung' } };
  expect(summarize([run({}), run({ ...other, state: 'failed', reason: 'crashed' })])).toEqual({ kind: 'failed', reason: 'crashed' });
  expect(summarize([run({ state: 'running', progress: 0.4, step: 'Resampling' }), run({ ...other, state: 'failed' })]))
    .toEqual({ kind: 'running', progress: 0.4, step: 'Resampling' });
});

test('one given-up delivery shows above many that arrived', () => {
  expect(summarizeDeliveries([delivery('delivered'), delivery('given-up')])).toEqual({ state: 'given-up', done: 1, total: 2 });
  expect(summarizeDeliveries([])).toBeUndefined();
});

test('a service that does not answer leaves its column unknown, not empty', () => {
  const study = {
    study_uid: '1.2', patient: { id: 'P', issuer: '', name: '', birth_date: '', sex: '' }, study_date: '', study_time: '',
    accession: '', description: '', modalities: [], series_count: 1, instance_count: 1, first_received_at: '', last_received_at: '',
  };
  expect(rows([study], undefined, [], [])[0]?.ai).toEqual({ kind: 'unknown' });
  expect(rows([study], [run({ study_uid: '9.9' })], [], [])[0]?.ai).toEqual({ kind: 'none' });
});

test('the viewer opens on the segmentation', () => {
  const segmented = run({ result_instances: [{ kind: 'SEG', series_uid: '9', sop_class_uid: '', sop_instance_uid: '' }] });
  expect(viewerAddress('1.2')).toBe('/viewer/viewer?StudyInstanceUIDs=1.2');
  expect(viewerAddress('1.2', [segmented])).toContain('initialSeriesInstanceUID=9');
});
