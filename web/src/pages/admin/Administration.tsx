// The frame of the administration's pages: which there are for this person.

import type { ComponentType } from 'react';

import type { Action } from '../../api/access';
import { useMay } from '../../api/session';
import { NotAllowed } from '../../parts/NotAllowed';
import { useCurrentInView } from '../../parts/useCurrentInView';
import { ADMIN, type AdminPage, Link } from '../../router';

import { Audit } from './Audit';
import { Destinations } from './Destinations';
import { Devices } from './Devices';
import { Emergency } from './Emergency';
import { Keys } from './Keys';
import { People } from './People';
import { Roles } from './Roles';
import { SettingsPage } from './Settings';
import { StoragePage } from './Storage';

const PAGES: Record<AdminPage, readonly [label: string, needs: Action, page: ComponentType]> = {
  people: ['People', 'view-people', People],
  roles: ['Roles', 'view-people', Roles],
  devices: ['Devices', 'view-devices', Devices],
  destinations: ['Destinations', 'manage-settings', Destinations],
  keys: ['API keys', 'view-keys', Keys],
  audit: ['Audit trail', 'view-audit', Audit],
  emergency: ['Emergency access', 'review-break-glass', Emergency],
  storage: ['Storage', 'view-storage', StoragePage],
  settings: ['Settings', 'view-settings', SettingsPage],
};

export const adminPages = (may: (action: Action) => boolean): AdminPage[] => ADMIN.filter(page => may(PAGES[page][1]));

export function Administration({ of }: { of: AdminPage }) {
  const may = useMay();
  const row = useCurrentInView<HTMLElement>(of);
  const [label, needs, Shown] = PAGES[of];
  if (!may(needs)) return <NotAllowed what={`the page ${label}`} />;
  return (
    <div className="administration">
      <nav ref={row} className="side" aria-label="Administration">
        {adminPages(may).map(page => (
          <Link key={page} href={`/admin/${page}`} aria-current={page === of ? 'page' : undefined}>{PAGES[page][0]}</Link>
        ))}
      </nav>
      <div className="administered"><Shown /></div>
    </div>
  );
}
