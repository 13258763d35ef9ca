// Said where a role does not reach, with who can help.

import { useAuth } from '../api/session';
import { roleName } from '../lib/roles';
import { Link } from '../router';

import { Empty, useTitle } from '.';

export function NotAllowed({ what }: { what: string }) {
  const { role, tenant } = useAuth();
  useTitle('Not part of your role');
  return (
    <Empty title="This is not part of your role">
      <p>As {role ? `${roleName(role).toLowerCase()} ` : ''}{tenant ? `of ${tenant.display_name} ` : ''}you do not see {what}. An administrator or the owner of your organisation can give you a role that does.</p>
      <p><Link className="button" href="/">Go to the first page</Link></p>
    </Empty>
  );
}
