// What /auth/ and the administration of /api/v1 answer with. Times are RFC 3339.

import type { RetentionRule } from './types';

export const ROLES = ['owner', 'administrator', 'radiologist', 'technologist', 'auditor', 'integration', 'device', 'operator'] as const;
export type Role = (typeof ROLES)[number];

/** What the pages ask for; the server knows more. */
export type Action =
  | 'view-studies' | 'retrieve-images' | 'correct-studies' | 'decide-conflicts' | 'accept-input' | 'retry-work'
  | 'store-images' | 'view-quarantine' | 'manage-quarantine' | 'delete-images' | 'view-erasures' | 'export-studies' | 'view-storage' | 'view-holds'
  | 'view-dead-letters' | 'replay-dead-letters' | 'view-live' | 'view-status' | 'view-people' | 'manage-people'
  | 'view-devices' | 'manage-devices' | 'view-keys' | 'manage-keys' | 'view-settings' | 'manage-settings'
  | 'end-tenant' | 'view-audit' | 'export-audit' | 'break-glass' | 'review-break-glass' | 'own-account';

export interface AuthState {
  signed_in: boolean;
  person: { id: string; name: string; email: string; email_verified: boolean } | null;
  tenant: { name: string; display_name: string; ae_title: string } | null;
  role: Role | null;
  /** With what emergency access adds. */
  actions: string[];
  break_glass: { until: string } | null;
  tenants: { name: string; display_name: string; role: Role }[];
  set_up_needed: boolean;
  sign_up: 'open' | 'invited';
  /** Whether the server can send mail. */
  mail: boolean;
  providers: { id: string; name: string }[];
}

export interface BreakGlassTaken {
  until: string;
}

/** What an invitation's token tells. */
export interface Invited {
  email: string;
  organisation: string;
  role: Role;
  invited_by: string;
  /** The address has an account: its password is asked for. */
  has_account: boolean;
}

export interface Person {
  id: string;
  name: string;
  email: string;
  role: Role;
  since: string;
  /** In a session that goes on. */
  seen_at: string | null;
}

export interface Session {
  id: string;
  tenant: string;
  browser: string;
  address: string;
  created_at: string;
  seen_at: string;
  expires_at: string;
  current: boolean;
}

export interface Invitation {
  id: string;
  email: string;
  role: Role;
  invited_by: string;
  created_at: string;
  expires_at: string;
}

export interface ApiKey {
  id: string;
  name: string;
  role: Role;
  limited_to: string[] | null;
  created_by: string;
  created_at: string;
  expires_at: string | null;
  used_at: string | null;
  used_from: string | null;
}

export interface Device {
  id: string;
  ae_title: string;
  address: string | null;
  certificate_sha256: string | null;
  issuer: string | null;
  quiet_seconds: number | null;
  fallback_charset: string | null;
  /** Named in the configuration file, and changed there. */
  configured: boolean;
  created_at: string;
  seen_at: string | null;
  seen_from: string | null;
}

export interface UnknownDevice {
  id: string;
  ae_title: string;
  address: string;
  certificate_sha256: string | null;
  count: number;
  first_at: string;
  last_at: string;
}

export interface RoleMatrix {
  roles: { name: Role; of_people: boolean; of_keys: boolean; actions: string[] }[];
  actions: { name: string; says: string }[];
}

export interface Account {
  id: string;
  name: string;
  email: string;
  email_verified: boolean;
  /** The address that one asked for instead and has not proved yet. */
  new_email: string | null;
  /** Whether one can sign in with a password. */
  has_password: boolean;
}

export interface BreakGlass {
  id: string;
  person: string;
  person_name: string;
  reason: string;
  address: string;
  taken_at: string;
  until: string;
  reviewed_at: string | null;
  reviewed_by: string | null;
  review: string | null;
}

export interface Settings {
  display_name: string;
  session_idle_minutes: number | null;
  session_hours: number | null;
  unknown_devices: 'reject' | 'admit-from-loopback' | null;
  requests_per_minute: number | null;
  quota_bytes: number | null;
  quota_instances: number | null;
  retention: RetentionRule[];
  resend: 'refuse' | 'accept';
  /** Quota, retention and resend stand in the configuration file, and are changed there. */
  archive_configured: boolean;
}

export interface Provider {
  id: string;
  name: string;
  issuer: string;
  client_id: string;
}
