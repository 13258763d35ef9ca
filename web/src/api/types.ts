// The REST API's answers, as /api/v1/openapi.json describes them. Times are
// RFC 3339 in UTC; DICOM dates are YYYYMMDD; an empty text means absent.

export interface Page<T> {
  items: T[];
  next?: string | null;
}

export interface Patient {
  id: string;
  issuer: string;
  name: string;
  birth_date: string;
  sex: string;
}

export interface Study {
  study_uid: string;
  patient: Patient;
  study_date: string;
  study_time: string;
  accession: string;
  description: string;
  modalities: string[];
  series_count: number;
  instance_count: number;
  first_received_at: string;
  last_received_at: string;
}

export interface StudyDetail extends Study {
  series: Series[];
  /** Images that rejection notes hide, by the notes' title (DCM); no count has them. */
  rejected: { code: string; instances: number }[];
  holds: Hold[];
  /** A retention rule keeps it until then. */
  keep_until: string | null;
  /** A retention rule deletes it then. */
  expires_at: string | null;
}

export interface Series {
  series_uid: string;
  number: number | null;
  modality: string;
  description: string;
  instance_count: number;
  /** What is odd about its instances, and was stored all the same. */
  oddities: { code: string; instances: number }[];
  /** Every revision, the oldest first; empty for what Hilum made itself. */
  input_sets: InputSet[];
}

export type InputSetState = 'receiving' | 'ready' | 'incomplete' | 'superseded';

export interface InputSet {
  id: string;
  revision: number;
  state: InputSetState;
  reason_code: string | null;
  reason: string | null;
  quiet_seconds: number | null;
  instance_count: number;
  correlation_id: string;
  opened_at: string;
  last_instance_at: string;
  ready_at: string | null;
}

export type RunState = 'queued' | 'running' | 'publishing' | 'succeeded' | 'refused' | 'failed' | 'superseded';

export interface Run {
  id: string;
  study_uid: string;
  series_uid: string;
  input_set_id: string;
  input_revision: number;
  model: { name: string; version: string; title: string; digest?: string };
  state: RunState;
  /** 0 to 1 */
  progress: number;
  step: string | null;
  attempts: number;
  reason: string | null;
  reason_code?: string | null;
  warnings: { code: string; text: string }[];
  measurements: Measurement[];
  result_instances: ResultInstance[];
  queued_at: string;
  started_at: string | null;
  finished_at: string | null;
  last_slice_at: string | null;
  seconds_model: number | null;
  intended_use: string;
  not_for_clinical_use: boolean;
}

export interface Measurement {
  code: string;
  meaning: string;
  value: number;
  /** UCUM */
  unit: string;
  segment: string;
}

export interface ResultInstance {
  sop_class_uid: string;
  sop_instance_uid: string;
  series_uid: string;
  kind: string;
}

export type DeliveryState = 'waiting' | 'sending' | 'delivered' | 'held' | 'given-up';

export interface Delivery {
  id: string;
  run_id: string;
  study_uid: string;
  destination: string;
  /** It is there no more: what was given up can't be sent again. */
  destination_removed: boolean;
  correlation_id: string;
  state: DeliveryState;
  reason: string | null;
  instances_total: number;
  instances_sent: number;
  attempts: number;
  next_attempt_at: string | null;
  created_at: string;
  delivered_at: string | null;
}

export type DestinationKind = 'dicom' | 'stow' | 'webhook' | 'mail';

/** Which results go to a destination: what is empty asks for nothing. */
export interface DestinationRule {
  models: string[];
  modalities: string[];
  body_parts: string[];
  /** `*` and `?` are wild cards. */
  study_description: string | null;
}

export interface Destination extends DestinationRule {
  id: string;
  name: string;
  /** Named in the configuration file, and changed there only. */
  configured: boolean;
  paused: boolean;
  kind: DestinationKind;
  /** Of a DICOM node. */
  ae_title?: string;
  calling_ae_title?: string;
  /** host:port, an http address, or one for mail. */
  address: string;
  tls?: boolean;
  has_authorities: boolean;
  user?: string;
  has_secret: boolean;
  former_secret_until?: string;
  /** Deliveries that wait for it or are being sent. */
  waiting: number;
}

/** A correction: what it changed, who made it, and why. */
export interface Correction {
  id: number;
  series_uid: string | null;
  version: number;
  changes: { tag: string; keyword: string; before: string | null; after: string | null }[];
  reason: string;
  by: string;
  at: string;
}

/** A series that belongs to another study, or a study that is part of one. */
export interface Move {
  /** Absent: all of the study. */
  series_uid?: string;
  /** Absent: a new study. */
  to_study_uid?: string;
  /** Attributes of a new study, by keyword. */
  set?: Record<string, string>;
  reason: string;
}

export interface Moved {
  study_uid: string;
  instances: number;
}

/** A Patient ID and who issued it; absent or empty: nobody says. */
export interface PatientRef {
  id: string;
  issuer?: string;
}

/** Two patients that are one. */
export interface PatientMerge {
  id: number;
  /** Who is no more. */
  prior: PatientRef;
  surviving: PatientRef;
  reason: string;
  by: string;
  at: string;
  /** How many studies it corrected. */
  studies: number;
}

export type PatientState = 'pending' | 'confirmed' | 'conflict' | 'no-patient-id';

export interface StudyPatientState {
  study_uid: string;
  state: PatientState;
  conflict_id: string | null;
}

export interface PatientConflict {
  id: string;
  issuer: string;
  patient_id: string;
  /** birth_date or sex */
  attribute: string;
  kept_value: string;
  kept_study_uid: string | null;
  other_value: string;
  other_study_uid: string;
  state: string;
  resolution: string | null;
  opened_at: string;
}

export type PatientDecision = 'keep-first' | 'take-second' | 'different-patients';

export interface InstanceConflict {
  id: number;
  sop_instance_uid: string;
  study_uid: string;
  other_study_uid: string;
  first_source: string;
  second_source: string;
  first_received_at: string;
  second_received_at: string;
}

export type InstanceDecision = 'keep-first' | 'serve-second';

export interface QuarantineEntry {
  id: number;
  received_at: string;
  source: string;
  reason_code: string;
  reason: string;
  size: number;
  sha256: string;
  times: number;
  correlation_id: string;
}

/** Work that is not done. */
export interface Job {
  id: string;
  service: string;
  /** A model's name, a destination. */
  what: string;
  state: 'waiting' | 'running' | 'dead';
  subject: string;
  study_uid: string | null;
  correlation_id: string;
  attempts: number;
  reason: string | null;
  created_at: string;
  due_at: string;
}

/** What one service told and another could not take. */
export interface DeadLetter {
  consumer: string;
  event_id: string;
  /** The event's type, with its version. */
  kind: string;
  attempts: number;
  reason: string | null;
  received_at: string;
}

export interface Model {
  name: string;
  version: string | null;
  title: string;
  vendor?: string | null;
  intended_use: string | null;
  not_for_clinical_use: boolean;
  state: 'ready' | 'broken';
  problem: string | null;
  digest: string | null;
  license: string | null;
  selects: string | null;
  /** It starts by itself on these. */
  automatic: boolean;
  /** The part of the organisation's studies that it is switched on for, from 0 to 1. */
  share: number;
}

export interface Storage {
  studies: number;
  series: number;
  instances: number;
  objects: number;
  bytes: number;
  conflicts: number;
  quarantine_items: number;
  quarantine_bytes: number;
  packs: number;
  bundles: number;
  /** Absent: as much as there is room for. */
  quota_bytes: number | null;
  quota_instances: number | null;
  lookup_bytes: number;
  /** Of all tenants. */
  index_bytes: number;
  key_bytes: number;
  /** Legal holds that stand. */
  holds: number;
  retention: RetentionRule[];
}

/** How long studies are kept; of several that match, the longest times count. */
export interface RetentionRule {
  /** Empty: all. */
  modalities: string[];
  since: 'study-date' | 'reception';
  keep_days: number | null;
  expire_days: number | null;
}

/** It names nothing of what was deleted. */
export interface Deletion {
  id: number;
  level: 'study' | 'series' | 'instance';
  cause: 'person' | 'rejected' | 'retention' | 'erased' | 'erased_again';
  reason: string;
  by: string;
  at: string;
  instances: number;
}

/** Images that were written to a folder, by `hilum export`. */
export interface Export {
  id: string;
  extent: 'studies' | 'patient' | 'everything';
  as_received: boolean;
  by: string;
  studies: number;
  began_at: string;
  /** Absent: it was not finished. */
  ended_at: string | null;
  files: number | null;
  bytes: number | null;
  failed: number | null;
}

/** Nothing that a legal hold is on is deleted. */
export interface Hold {
  id: number;
  study_uid: string | null;
  patient_id: string | null;
  issuer: string | null;
  reason: string;
  by: string;
  placed_at: string;
}

export interface Status {
  version: string;
  started_at: string;
  ae_title: string;
  /** host:port where images are received. */
  dicom_address: string;
  /** Associations come over TLS, and only so. */
  dicom_tls: boolean;
  services: { name: string; ready: boolean; detail: string | null }[];
}

/** RFC 9457 */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
}

export type Topic = 'studies' | 'runs' | 'deliveries' | 'patients' | 'quarantine' | 'dead-letters' | 'administration';

export interface Notice {
  topic: Topic;
  study_uid?: string;
}
