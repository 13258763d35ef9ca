// Roles, as people who give them read them.

import type { Role } from '../api/access';

export const ROLE: Record<Role, readonly [name: string, about: string]> = {
  owner: ['Owner', 'Answers for the organisation and may do everything in it.'],
  administrator: ['Administrator', 'Runs it: people, devices, keys, settings, storage. Sees who was examined, but no images.'],
  radiologist: ['Radiologist', 'Reads images and results.'],
  technologist: ['Technologist', 'Brings images in and puts right what is wrong with them.'],
  auditor: ['Auditor', 'Reads who did what, and changes nothing.'],
  integration: ['Integration', 'Another program: sends images in and fetches images and results.'],
  device: ['Device', 'A scanner or another DICOM device: sends images in.'],
  operator: ['Operator', 'Whoever can read the data folder of this installation. Nobody is given this role.'],
};

export const roleName = (role: Role): string => ROLE[role]?.[0] ?? role;

/** What somebody with the role `by` may make another person. */
export function givenBy(by: Role | null): Role[] {
  const most: Role[] = ['administrator', 'radiologist', 'technologist', 'auditor'];
  if (by === 'owner') return ['owner', ...most];
  return by === 'administrator' ? most : [];
}

/** What an API key can be: it outlives attention, so none owns anything. */
export const OF_KEYS = ['integration', 'technologist', 'radiologist', 'auditor', 'administrator'] as const;
