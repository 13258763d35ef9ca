// What the pages of studies ask of /api/v1.

import * as http from './http';
import type { Query } from './http';
import type {
  Correction, DeadLetter, Deletion, Delivery, Destination, Export, InstanceConflict, InstanceDecision, Job, Model, Move, Moved, Page, PatientConflict, PatientDecision,
  PatientMerge, PatientRef, QuarantineEntry, Run, Status, Storage, Study, StudyDetail, StudyPatientState,
} from './types';

const V1 = '/api/v1';
const get = <T>(path: string, signal: AbortSignal, query?: Query) => http.get<T>(V1 + path, signal, query);
const act = (method: 'POST' | 'DELETE', path: string, body?: unknown) => http.act(method, V1 + path, body);

/** Study UIDs per request: 64 characters each, the address stays below 8 KiB. */
const UIDS_PER_REQUEST = 80;

/** Asks for many studies at once, in as few requests as addresses permit. */
async function ofStudies<T>(path: string, uids: string[], signal: AbortSignal, more: Query = []): Promise<T[]> {
  const parts: Promise<Page<T>>[] = [];
  for (let at = 0; at < uids.length; at += UIDS_PER_REQUEST) {
    const query: Query = uids.slice(at, at + UIDS_PER_REQUEST).map(uid => ['study_uid', uid]);
    parts.push(get<Page<T>>(path, signal, [...query, ...more]));
  }
  return (await Promise.all(parts)).flatMap(page => page.items);
}

const id = http.segment;

export const api = {
  studies: (query: Query, signal: AbortSignal) => get<Page<Study>>('/studies', signal, query),
  study: (uid: string, signal: AbortSignal) => get<StudyDetail>(`/studies/${id(uid)}`, signal),
  runs: (uids: string[], signal: AbortSignal) => ofStudies<Run>('/runs', uids, signal, [['limit', '200']]),
  deliveries: (uids: string[], signal: AbortSignal) => ofStudies<Delivery>('/deliveries', uids, signal),
  patientStates: (uids: string[], signal: AbortSignal) =>
    ofStudies<StudyPatientState>('/patients/by-study', uids, signal),
  patientConflicts: (signal: AbortSignal) =>
    get<Page<PatientConflict>>('/patient-conflicts', signal, [['state', 'open']]),
  instanceConflicts: (signal: AbortSignal) => get<Page<InstanceConflict>>('/instance-conflicts', signal),
  quarantine: (signal: AbortSignal) => get<Page<QuarantineEntry>>('/quarantine', signal),
  jobs: (state: Job['state'], signal: AbortSignal) => get<Page<Job>>('/jobs', signal, [['state', state]]),
  deadLetters: (signal: AbortSignal) => get<Page<DeadLetter>>('/dead-letters', signal),
  models: (signal: AbortSignal) => get<Page<Model>>('/models', signal),
  destinations: (signal: AbortSignal) => get<Page<Destination>>('/destinations', signal),
  status: (signal: AbortSignal) => get<Status>('/status', signal),
  storage: (signal: AbortSignal) => get<Storage>('/storage', signal),
  deletions: (signal: AbortSignal) => get<Page<Deletion>>('/deletions', signal),
  exports: (signal: AbortSignal) => get<Page<Export>>('/exports', signal),

  acceptInputSet: (inputSet: string) => act('POST', `/input-sets/${id(inputSet)}/accept`),
  corrections: (uid: string, signal: AbortSignal) => get<Page<Correction>>(`/studies/${id(uid)}/corrections`, signal),
  correctStudy: (uid: string, set: Record<string, string>, reason: string) =>
    act('POST', `/studies/${id(uid)}/corrections`, { set, reason }),
  deleteStudy: (uid: string, reason: string) => act('DELETE', `/studies/${id(uid)}`, { reason }),
  deleteSeries: (study: string, series: string, reason: string) =>
    act('DELETE', `/studies/${id(study)}/series/${id(series)}`, { reason }),
  move: async (study: string, what: Move): Promise<Moved> =>
    (await (await act('POST', `/studies/${id(study)}/moves`, what)).json()) as Moved,
  mergePatients: (prior: PatientRef, surviving: PatientRef, reason: string) =>
    act('POST', '/patient-merges', { prior, surviving, reason }),
  patientMerges: (signal: AbortSignal) => get<Page<PatientMerge>>('/patient-merges', signal),
  undoPatientMerge: (merge: number) => act('DELETE', `/patient-merges/${merge}`),
  correctSeries: (study: string, series: string, set: Record<string, string>, reason: string) =>
    act('POST', `/studies/${id(study)}/corrections`, { series_uid: series, set, reason }),
  retryRun: (run: string) => act('POST', `/runs/${id(run)}/retry`),
  retryDelivery: (delivery: string) => act('POST', `/deliveries/${id(delivery)}/retry`),
  resolvePatientConflict: (conflict: string, decision: PatientDecision) =>
    act('POST', `/patient-conflicts/${id(conflict)}/resolve`, { decision }),
  decideInstanceConflict: (conflict: number, decision: InstanceDecision) =>
    act('POST', `/instance-conflicts/${conflict}/decide`, { decision }),
  redriveQuarantined: (entry: number) => act('POST', `/quarantine/${entry}/redrive`),
  replayJob: (service: string, job: string) => act('POST', `/jobs/${id(service)}/${id(job)}/replay`),
  replayDeadLetter: (consumer: string, event: string) =>
    act('POST', `/dead-letters/${id(consumer)}/${id(event)}/replay`),
  deleteQuarantined: (entry: number) => act('DELETE', `/quarantine/${entry}`),
};
