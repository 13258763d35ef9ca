// Composes the worklist's rows from what four services answer.

import type { Delivery, DeliveryState, PatientState, Run, Study, StudyPatientState } from '../api/types';

import { measured, quantity, step as stepName } from './format';

export interface Row {
  study: Study;
  ai: Ai;
  delivery: { state: DeliveryState; done: number; total: number } | undefined;
  patient: PatientState | undefined;
}

export type Ai =
  | { kind: 'unknown' | 'none' }
  | { kind: 'queued' }
  | { kind: 'running'; progress: number; step: string }
  | { kind: 'succeeded'; results: string[]; warnings: number }
  | { kind: 'refused' | 'failed'; reason: string };

/** The newest run of each model on each series that nothing has superseded. */
export function currentRuns(runs: Run[]): Run[] {
  const newest = new Map<string, Run>();
  for (const run of runs) {
    if (run.state === 'superseded') continue;
    const key = `${run.series_uid} ${run.model.name}`;
    const other = newest.get(key);
    const later =
      !other ||
      run.input_revision > other.input_revision ||
      (run.input_revision === other.input_revision && run.queued_at > other.queued_at);
    if (later) newest.set(key, run);
  }
  return [...newest.values()];
}

/** What is most worth knowing: what runs, then what went wrong, then results. */
export function summarize(all: Run[]): Ai {
  const runs = currentRuns(all);
  const running = runs.filter(run => run.state === 'running' || run.state === 'publishing');
  if (running.length > 0) {
    const progress = running.reduce((sum, run) => sum + run.progress, 0) / running.length;
    const step = running[0]?.state === 'publishing' ? 'Publishing' : stepName(running[0]?.step ?? null);
    return { kind: 'running', progress: Math.min(1, Math.max(0, progress)), step };
  }
  if (runs.some(run => run.state === 'queued')) return { kind: 'queued' };
  const failed = runs.find(run => run.state === 'failed');
  if (failed) return { kind: 'failed', reason: failed.reason ?? '' };
  const succeeded = runs.filter(run => run.state === 'succeeded');
  if (succeeded.length > 0) {
    return {
      kind: 'succeeded',
      results: succeeded.flatMap(run => run.measurements.map(m => `${measured(m)} ${quantity(m)}`)),
      warnings: succeeded.reduce((sum, run) => sum + run.warnings.length, 0),
    };
  }
  const refused = runs.find(run => run.state === 'refused');
  if (refused) return { kind: 'refused', reason: refused.reason ?? '' };
  return { kind: 'none' };
}

/** The state that needs a person most comes first. */
const WORST: DeliveryState[] = ['given-up', 'held', 'sending', 'waiting', 'delivered'];

export function summarizeDeliveries(deliveries: Delivery[]): Row['delivery'] {
  const state = WORST.find(one => deliveries.some(delivery => delivery.state === one));
  if (!state) return undefined;
  return { state, done: deliveries.filter(one => one.state === 'delivered').length, total: deliveries.length };
}

function byStudy<T extends { study_uid: string }>(items: T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(item.study_uid);
    if (group) group.push(item);
    else groups.set(item.study_uid, [item]);
  }
  return groups;
}

/** `undefined` stands for a service that did not answer. */
export function rows(
  studies: Study[],
  runs: Run[] | undefined,
  deliveries: Delivery[] | undefined,
  patients: StudyPatientState[] | undefined,
): Row[] {
  const runsOf = byStudy(runs ?? []);
  const deliveriesOf = byStudy(deliveries ?? []);
  const patientOf = new Map((patients ?? []).map(item => [item.study_uid, item.state]));
  return studies.map(study => ({
    study,
    ai: runs ? summarize(runsOf.get(study.study_uid) ?? []) : { kind: 'unknown' },
    delivery: summarizeDeliveries(deliveriesOf.get(study.study_uid) ?? []),
    patient: patientOf.get(study.study_uid),
  }));
}
