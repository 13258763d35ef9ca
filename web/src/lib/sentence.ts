// An entry of the audit trail as a sentence: `Anna Berg viewed the study 1.2.3`.

import type { AuditEntry, AuditSubject } from '../api/audit';

import { plural } from './format';

/** What was done; `{}` is whom and what it is about, with how many images. */
export const ACTS: Record<string, readonly [label: string, sentence: string]> = {
  'sign-in': ['Signed in', 'signed in'],
  'sign-in-failed': ['Failed to sign in', 'tried to sign in as {} and could not'],
  'sign-out': ['Signed out', 'signed out'],
  refused: ['Refused', 'asked for what their role does not include'],
  'device-refused': ['Device turned away', 'called and was turned away'],
  'sign-up': ['Made an account', 'made an account'],
  'change-password': ['Changed a password', 'changed a password'],
  'verify-email': ['Proved an address', 'proved an e-mail address'],
  query: ['Searched', 'searched for {}'],
  'view-study': ['Viewed a study', 'viewed {}'],
  'view-patient': ['Viewed a patient', 'viewed {}'],
  retrieve: ['Retrieved images', 'retrieved images of {}'],
  'view-received': ['Retrieved as received', 'retrieved images of {} as they were received'],
  store: ['Sent images in', 'sent images of {} in'],
  'store-refused': ['Images refused', 'sent images of {} that were not taken in'],
  import: ['Imported', 'imported images of {}'],
  export: ['Exported', 'exported images of {}'],
  correct: ['Corrected', 'corrected {}'],
  move: ['Moved', 'moved images of {}'],
  'merge-patients': ['Merged patients', 'merged patients: {}'],
  'decide-conflict': ['Decided a conflict', 'decided a conflict of {}'],
  reject: ['Rejected images', 'rejected images of {}'],
  'accept-input': ['Accepted an incomplete series', 'let models work on an incomplete series of {}'],
  retry: ['Tried again', 'let work be tried again on {}'],
  'view-quarantine': ['Viewed quarantine', 'looked at what was refused'],
  redrive: ['Took in from quarantine', 'took in again what was refused'],
  'delete-quarantined': ['Deleted from quarantine', 'deleted what was refused'],
  delete: ['Deleted', 'deleted images of {}'],
  erase: ['Erased a patient', 'erased {}'],
  hold: ['Placed a legal hold', 'placed a legal hold on {}'],
  'lift-hold': ['Lifted a legal hold', 'lifted a legal hold on {}'],
  'view-administration': ['Looked at administration', 'looked at pages of the administration'],
  'model-run': ['Model ran', 'ran a model on {}'],
  publish: ['Published results', 'published results for {}'],
  delivery: ['Delivered', 'delivered images of {}'],
  'change-person': ['Changed a person', 'invited, changed or removed a person'],
  'change-role': ['Gave a role', 'gave a person another role'],
  'change-device': ['Changed a device', 'admitted, changed or removed a device'],
  'change-key': ['Changed an API key', 'made or revoked an API key'],
  'change-settings': ['Changed settings', 'changed settings'],
  'break-glass': ['Took emergency access', 'took emergency access: {}'],
  'end-break-glass': ['Ended emergency access', 'ended emergency access'],
  'review-break-glass': ['Reviewed emergency access', 'reviewed an emergency access: {}'],
  'view-audit': ['Searched the audit trail', 'searched or verified the audit trail'],
  'export-audit': ['Exported the audit trail', 'exported the audit trail'],
  'remove-audit': ['Removed old entries', 'removed entries that were kept long enough'],
  'begin-audit': ['Began the trail anew', 'began a chain of the trail anew'],
  'make-tenant': ['Made an organisation', 'made an organisation'],
  'end-tenant': ['Ended an organisation', 'exported or ended an organisation'],
  backup: ['Backed up', 'backed the installation up'],
  restore: ['Restored', 'made the installation from a backup'],
  'rotate-master-key': ['Changed the master key', "changed the installation's master key"],
};

/** What an act is about where its entry names nobody. */
const NOBODY_NAMED: Record<string, string> = { 'view-study': 'studies', 'view-patient': 'lists of patients', correct: 'a study', retry: 'something' };

/** Who did it. */
export function who(entry: Pick<AuditEntry, 'who' | 'right' | 'name'>): string {
  const [kind = '', id = ''] = /^(person|API key|device|service) (.*)$/.exec(entry.who)?.slice(1) ?? [];
  switch (kind) {
    case 'person': return entry.name ?? 'A person who left';
    case 'API key': return `The key ${entry.name ?? id}`;
    case 'device': return `The device ${id}`;
    // Where nobody was known yet, the service that was asked tells it.
    case 'service': return entry.right === 'continuation' ? 'Hilum' : `Hilum (${id})`;
    default: return entry.who === 'local operator' ? 'The operator of this machine' : entry.who;
  }
}

/** Whom of the organisation's people and keys it was done to, as `who` names them; nobody where they did it themselves. */
export function acted(entry: Pick<AuditEntry, 'who' | 'details'>): string[] {
  const { person, key } = entry.details;
  return [person && `person ${person}`, key && `API key ${key}`].filter((one): one is string => !!one && one !== entry.who);
}

const one = (subject: AuditSubject): string => {
  switch (subject.kind) {
    case 'patient': return `the patient ${subject.value}${subject.issuer ? ` of ${subject.issuer}` : ''}`;
    case 'study': return `the study ${subject.value}`;
    case 'reason': return `“${subject.value}”`;
    case 'account': return `${subject.value}`;
    case 'query': return subject.value ? `“${subject.value}”` : 'everything';
    case 'erased': return 'a patient erased since';
  }
};

/** More are counted. */
const NAMED = 3;

function whom(subjects: AuditSubject[]): string {
  // The patient says little beside the study that is theirs.
  const studies = subjects.filter(subject => subject.kind === 'study');
  const named = studies.length > 0 ? studies : subjects;
  const names = [...new Set(named.map(one))];
  if (names.length === 0) return '';
  const rest = names.length - NAMED;
  return rest > 0 ? `${names.slice(0, NAMED).join(', ')} and ${plural(rest, 'more', 'more')}` : names.join(', ');
}

/** What was done, without who did it. */
export function did(entry: Pick<AuditEntry, 'action' | 'subjects'>): string {
  const sentence = ACTS[entry.action]?.[1] ?? `did “${entry.action}” to {}`;
  const erasure = entry.action === 'erase' && entry.subjects.some(subject => subject.kind === 'erased');
  const about = erasure ? 'a patient' : whom(entry.subjects) || NOBODY_NAMED[entry.action];
  if (about) return sentence.includes('{}') ? sentence.replace('{}', () => about) : sentence;
  return sentence.replace(/(: | of | on | for | to | as )?\{\}/, '').trimEnd();
}

/** Details that tell people nothing by themselves (ids), or are told already. */
const UNREAD = ['session', 'person', 'key', 'invitation', 'access', 'input-set', 'event', 'repeats', 'instances'];

/** What else is known of it. */
export function remarks({ action, details }: Pick<AuditEntry, 'action' | 'details'>): string[] {
  const page = action === 'view-administration';
  return Object.entries(details).filter(([name]) => !UNREAD.includes(name))
    .map(([name, value]) => `${page && name === 'setting' ? 'page' : name} ${value}`);
}

/** Acts whose count is of images, not of times. */
const OF_IMAGES = ['retrieve', 'view-received', 'store', 'store-refused', 'import', 'export', 'move', 'reject', 'delete', 'delivery', 'publish', 'erase'];

export function counted({ action, count, details }: Pick<AuditEntry, 'action' | 'count' | 'details'>): string {
  const what = plural(count, OF_IMAGES.includes(action) ? 'image' : 'time');
  // The first look has an entry of its own.
  if (details.repeats) return `again, ${what}`;
  return OF_IMAGES.includes(action) || count > 1 ? what : '';
}
