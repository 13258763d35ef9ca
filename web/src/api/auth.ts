// Speaks to /auth/: who is signed in, and how one becomes so.

import type { AuthState, BreakGlassTaken, Invited } from './access';
import { act, get, made, segment } from './http';

export const auth = {
  state: () => get<AuthState>('/auth/state'),
  setUp: (body: { token: string; organisation: string; name: string; email: string; password: string }) => act('POST', '/auth/set-up', body),
  signUp: (body: { organisation: string; name: string; email: string; password: string }) => act('POST', '/auth/sign-up', body),
  signIn: (email: string, password: string) => act('POST', '/auth/sign-in', { email, password }),
  signOut: () => act('POST', '/auth/sign-out'),
  forgotten: (email: string) => act('POST', '/auth/password-reset', { email }),
  reset: (token: string, password: string) => act('POST', '/auth/password-reset/finish', { token, password }),
  verify: (token: string) => act('POST', '/auth/verify-email', { token }),
  invitation: (token: string) => made<Invited>('POST', '/auth/invitation', { token }),
  accept: (body: { token: string; name?: string; password?: string }) => act('POST', '/auth/invitation/accept', body),
  switchTo: (tenant: string) => act('POST', '/auth/tenant', { tenant }),
  breakGlass: (reason: string) => made<BreakGlassTaken>('POST', '/auth/break-glass', { reason }),
  endBreakGlass: () => act('DELETE', '/auth/break-glass'),
  /** Where signing in with another's account begins; it leads back to `returnTo`. */
  provider: (id: string, returnTo: string) => `/auth/oidc/${segment(id)}/start?return_to=${segment(returnTo)}`,
};
