// When a key ends.

export const EXPIRIES = [
  ['30', 'In 30 days'], ['90', 'In 90 days'], ['365', 'In a year'], ['never', 'Never: until somebody revokes it'],
] as const;
export type Expiry = (typeof EXPIRIES)[number][0];

const DAY_MS = 86_400_000;

export const expiresAt = (expiry: Expiry, now: number): string | null =>
  expiry === 'never' ? null : new Date(now + Number(expiry) * DAY_MS).toISOString();
