// What the pages of the administration and of one's own account ask of /api/v1.

import type {
  Account, ApiKey, BreakGlass, Device, Invitation, Person, Provider, RoleMatrix, Session, Settings, UnknownDevice,
} from './access';
import type { AuditEntry, Verification } from './audit';
import { type Query, act, address, get, made, segment as id } from './http';
import type { Destination, DestinationKind, DestinationRule, Page } from './types';

const V1 = '/api/v1';

/** Rows of a page: two screens, and quick with any number of rows behind it. */
const ROWS = '100';

const list = <T>(path: string, after: string | undefined, signal: AbortSignal, query: Query = [], rows = ROWS) =>
  get<Page<T>>(V1 + path, signal, [...query, ['limit', rows], ['after', after ?? '']]);

export const admin = {
  account: (signal: AbortSignal) => get<Account>(`${V1}/account`, signal),
  rename: (name: string) => act('PATCH', `${V1}/account`, { name }),
  /** A link goes to the address; it counts once that is opened. */
  askForEmail: (email: string, password: string) => act('POST', `${V1}/account/email`, { email, password }),
  withdrawEmail: () => act('DELETE', `${V1}/account/email`),
  changePassword: (current: string, fresh: string) => act('POST', `${V1}/account/password`, { current, new: fresh }),
  ownSessions: (signal: AbortSignal) => get<Page<Session>>(`${V1}/account/sessions`, signal),
  endOtherSessions: () => act('DELETE', `${V1}/account/sessions`),
  endOwnSession: (session: string) => act('DELETE', `${V1}/account/sessions/${id(session)}`),

  people: (q: string, after: string | undefined, signal: AbortSignal, rows?: string) => list<Person>('/people', after, signal, [['q', q]], rows),
  giveRole: (person: string, role: string) => act('PATCH', `${V1}/people/${id(person)}`, { role }),
  endMembership: (person: string) => act('DELETE', `${V1}/people/${id(person)}`),
  resetLink: (person: string) => made<{ mailed: boolean; link: string | null }>('POST', `${V1}/people/${id(person)}/reset-link`),
  sessionsOf: (person: string, signal: AbortSignal) => get<Page<Session>>(`${V1}/people/${id(person)}/sessions`, signal),
  endSessionsOf: (person: string) => act('DELETE', `${V1}/people/${id(person)}/sessions`),
  invitations: (after: string | undefined, signal: AbortSignal) => list<Invitation>('/invitations', after, signal),
  invite: (email: string, role: string) => made<{ mailed: boolean; link: string | null }>('POST', `${V1}/invitations`, { email, role }),
  withdraw: (invitation: string) => act('DELETE', `${V1}/invitations/${id(invitation)}`),

  roles: (signal: AbortSignal) => get<RoleMatrix>(`${V1}/roles`, signal),

  devices: (after: string | undefined, signal: AbortSignal) => list<Device>('/devices', after, signal),
  addDevice: (device: DeviceChange & { ae_title: string }) => act('POST', `${V1}/devices`, device),
  changeDevice: (device: string, change: DeviceChange) => act('PATCH', `${V1}/devices/${id(device)}`, change),
  removeDevice: (device: string) => act('DELETE', `${V1}/devices/${id(device)}`),
  unknownDevices: (signal: AbortSignal) => get<Page<UnknownDevice>>(`${V1}/devices/unknown`, signal),
  admit: (unknown: string) => act('POST', `${V1}/devices/unknown/${id(unknown)}/admit`),
  dismiss: (unknown: string) => act('DELETE', `${V1}/devices/unknown/${id(unknown)}`),

  addDestination: (destination: DestinationWanted) => made<Destination & { secret?: string }>('POST', `${V1}/destinations`, destination),
  changeDestination: (destination: string, change: DestinationChange) => act('PATCH', `${V1}/destinations/${id(destination)}`, change),
  removeDestination: (destination: string) => act('DELETE', `${V1}/destinations/${id(destination)}`),
  testDestination: (destination: string) => made<{ reached: boolean; message: string }>('POST', `${V1}/destinations/${id(destination)}/test`),
  renewSecret: (destination: string) => made<{ secret: string; former_until: string }>('POST', `${V1}/destinations/${id(destination)}/secret`),

  keys: (after: string | undefined, signal: AbortSignal, rows?: string) => list<ApiKey>('/keys', after, signal, [], rows),
  makeKey: (key: KeyWanted) => made<{ key: string }>('POST', `${V1}/keys`, key),
  revokeKey: (key: string) => act('DELETE', `${V1}/keys/${id(key)}`),

  settings: (signal: AbortSignal) => get<Settings>(`${V1}/settings`, signal),
  changeSettings: (change: Partial<Settings>) => act('PATCH', `${V1}/settings`, change),
  records: `${V1}/tenant/records`,
  endTenant: (tenant: string) => made<unknown>('POST', `${V1}/tenant/end`, { confirm: tenant }),
  providers: (signal: AbortSignal) => get<Page<Provider> & { redirect_uri: string }>(`${V1}/sign-in-providers`, signal),
  addProvider: (provider: ProviderWanted) => act('POST', `${V1}/sign-in-providers`, provider),
  removeProvider: (provider: string) => act('DELETE', `${V1}/sign-in-providers/${id(provider)}`),

  breakGlass: (after: string | undefined, signal: AbortSignal) => list<BreakGlass>('/break-glass', after, signal),
  review: (access: string, review: string) => act('POST', `${V1}/break-glass/${id(access)}/review`, { text: review }),

  audit: (query: Query, after: string | undefined, signal: AbortSignal) => list<AuditEntry>('/audit/entries', after, signal, query),
  auditExport: (format: 'fhir' | 'csv', query: Query) => address(`${V1}/audit/export`, [['format', format], ...query]),
  verifyAudit: () => made<Verification>('POST', `${V1}/audit/verify`),
};

export interface DeviceChange {
  address?: string | null;
  certificate_sha256?: string | null;
  issuer?: string | null;
  quiet_seconds?: number | null;
  fallback_charset?: string | null;
}

/** What is absent stays; `null` takes away. */
export interface DestinationChange extends Partial<DestinationRule> {
  name?: string;
  address?: string;
  ae_title?: string;
  calling_ae_title?: string;
  tls?: boolean;
  authorities?: string | null;
  user?: string | null;
  secret?: string | null;
  paused?: boolean;
}

export interface DestinationWanted extends DestinationChange {
  name: string;
  kind: DestinationKind;
  address: string;
}

export interface KeyWanted {
  name: string;
  role: string;
  expires_at: string | null;
  limited_to: string[] | null;
}

export interface ProviderWanted {
  name: string;
  issuer: string;
  client_id: string;
  client_secret: string;
}
