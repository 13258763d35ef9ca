// The audit trail as /api/v1/audit tells it.

export interface AuditEntry {
  id: string;
  at: string;
  who: { kind: 'person' | 'api-key' | 'device' | 'service' | 'local-operator' | 'nobody'; id: string | null; name: string | null };
  right: string;
  act: string;
  outcome: 'success' | 'refused' | 'failed';
  subjects: AuditSubject[];
  /** Of a patient who was erased: whom it was about is gone for good. */
  erased?: boolean;
  count: number;
  details: Record<string, string>;
  from: string | null;
}

export type AuditSubject =
  | { kind: 'patient'; id: string; issuer?: string | null }
  | { kind: 'study'; uid: string }
  | { kind: 'query'; text: string }
  | { kind: 'erased' };

export interface Seal {
  number: number;
  at: string;
  entries: number;
  root: string;
}

export interface Verification {
  sound: boolean;
  entries: number;
  findings: string[];
}
