// Speaks to /api/v1. Every failure becomes an ApiError whose message says, in a
// sentence for people, what happened and what to do.

import type {
  Correction, DeadLetter, Deletion, Delivery, Destination, Export, InstanceConflict, InstanceDecision, Model, Move, Moved, Page, PatientConflict, PatientDecision,
  PatientMerge, PatientRef, Problem, QuarantineEntry, Run, Status, Storage, Study, StudyDetail, StudyPatientState,
} from './types';

export class ApiError extends Error {
  constructor(message: string, readonly status: number, readonly code: string) {
    super(message);
    this.name = 'ApiError';
  }
}

type Query = [name: string, value: string][];

/** Study UIDs per request: 64 characters each, the address stays below 8 KiB. */
const UIDS_PER_REQUEST = 80;

function address(path: string, query: Query = []): string {
  const search = new URLSearchParams(query).toString();
  return `/api/v1${path}${search ? `?${search}` : ''}`;
}

async function problemOf(response: Response): Promise<ApiError> {
  const plain = `Hilum answered ${response.status} ${response.statusText}.`;
  try {
    const problem = (await response.json()) as Partial<Problem>;
    return new ApiError(problem.detail || problem.title || plain, response.status, problem.code ?? 'unknown');
  } catch {
    return new ApiError(plain, response.status, 'unknown');
  }
}

async function ask(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: { accept: 'application/json', ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('Hilum does not answer. Check that it runs and that this machine reaches it.', 0, 'unreachable');
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function get<T>(path: string, signal: AbortSignal, query?: Query): Promise<T> {
  return (await (await ask(address(path, query), { signal })).json()) as T;
}

async function act(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<Response> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'content-type': 'application/json' };
  }
  return ask(address(path), init);
}

/** Asks for many studies at once, in as few requests as addresses permit. */
async function ofStudies<T>(path: string, uids: string[], signal: AbortSignal, more: Query = []): Promise<T[]> {
  const parts: Promise<Page<T>>[] = [];
  for (let at = 0; at < uids.length; at += UIDS_PER_REQUEST) {
    const query: Query = uids.slice(at, at + UIDS_PER_REQUEST).map(uid => ['study_uid', uid]);
    parts.push(get<Page<T>>(path, signal, [...query, ...more]));
  }
  return (await Promise.all(parts)).flatMap(page => page.items);
}

const id = encodeURIComponent;

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
  replayDeadLetter: (consumer: string, event: string) =>
    act('POST', `/dead-letters/${id(consumer)}/${id(event)}/replay`),
  deleteQuarantined: (entry: number) => act('DELETE', `/quarantine/${entry}`),
};
