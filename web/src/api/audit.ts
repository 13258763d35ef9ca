// The audit trail as /api/v1/audit tells it.

export interface AuditEntry {
  /** The service whose trail it stands in, and its place there. */
  writer: string;
  position: number;
  at: string;
  /** `person ID`, `API key ID`, `device AE`, `service NAME`, `local operator`. */
  who: string;
  person?: string;
  /** What that person or key is called, or was when they left. */
  name?: string;
  /** What the person or key is called that was acted on. */
  acted_on?: string;
  /** A role, or `continuation` for what a service goes on with. */
  right: string;
  /** The emergency access that was used. */
  break_glass?: string;
  from?: string;
  action: string;
  outcome: 'success' | 'refused' | 'failed';
  subjects: AuditSubject[];
  count: number;
  details: Record<string, string>;
}

export interface AuditSubject {
  /** `erased`: whom it was about is gone for good. */
  kind: 'patient' | 'study' | 'query' | 'reason' | 'account' | 'erased';
  value?: string;
  issuer?: string;
}

export interface Verification {
  intact: boolean;
  writers: { writer: string; entries: number; faults: string[] }[];
  seals: number;
  seal_faults: string[];
}
