// Who is signed in, where, and the way out.

import { auth } from '../api/auth';
import { signOut, startAfresh, useAuth, useMay } from '../api/session';
import { roleName } from '../lib/roles';
import { Link } from '../router';

import { Action } from '.';
import { TakeEmergencyAccess } from './Emergency';
import { Menu } from './Menu';

export function PersonMenu() {
  const { person, tenant, role, tenants, break_glass } = useAuth();
  const may = useMay();
  if (!person || !tenant) return null;
  const others = tenants.filter(one => one.name !== tenant.name);
  return (
    <Menu
      button={<><span className="initials" aria-hidden="true">{initials(person.name)}</span><span className="menu-name">{person.name}<span className="second">{tenant.display_name}</span></span><span className="unseen">: your account</span></>}>
      <div className="menu-head">
        <strong>{person.name}</strong>
        <span className="second">{person.email}</span>
        <span className="second">{role ? roleName(role) : ''} · {tenant.display_name}</span>
      </div>
      {others.length > 0 && (
        <div className="menu-group" role="group" aria-label="Your other organisations">
          <p className="second">Go over to</p>
          {others.map(one => (
            <Action key={one.name} act={() => auth.switchTo(one.name)} done={() => startAfresh()}>{one.display_name}</Action>
          ))}
        </div>
      )}
      <div className="menu-group">
        {may('own-account') && <Link className="button" href="/account">Your account</Link>}
        {may('break-glass') && !break_glass && <TakeEmergencyAccess />}
        <Action act={signOut} done={() => {}}>Sign out</Action>
      </div>
    </Menu>
  );
}

/** Two letters for a name; people are not shown by a picture. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const first = [...(words[0] ?? '')][0] ?? '';
  const last = words.length > 1 ? [...(words.at(-1) ?? '')][0] ?? '' : '';
  return (first + last).toUpperCase();
}
