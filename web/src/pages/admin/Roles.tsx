// What each role may do: the matrix that the server checks by.

import { ROLES, type Role } from '../../api/access';
import { admin } from '../../api/admin';
import { useResource } from '../../api/useResource';
import { useAuth } from '../../api/session';
import { ROLE, roleName } from '../../lib/roles';
import { Badge, Failure, Loading, useTitle } from '../../parts';

export function Roles() {
  useTitle('Roles');
  const { role: mine } = useAuth();
  const { data, error, reload } = useResource('roles', admin.roles, []);
  const may = (role: Role, action: string) => data?.roles.find(one => one.name === role)?.actions.includes(action) ?? false;
  const shown: Role[] = ROLES.filter(role => role !== 'operator');
  return (
    <>
      <div className="page-head"><h1>Roles</h1></div>
      <p className="lead">A role says what somebody may do. There are no exceptions per person: whoever needs more gets another role, or takes emergency access.</p>
      <ul className="tiles">
        {shown.map(role => (
          <li key={role} className="card"><h3>{roleName(role)}{role === mine && <> <Badge tone="quiet">Yours</Badge></>}</h3><p className="second">{ROLE[role][1]}</p></li>
        ))}
      </ul>
      <section aria-labelledby="matrix">
        <h2 id="matrix">Who may do what</h2>
        {error && <Failure error={error} retry={reload} />}
        {!data && !error && <Loading />}
        {data && (
          <div className="sheet matrix-around" tabIndex={0} role="region" aria-labelledby="matrix">
            <table className="matrix">
              <thead><tr><th scope="col">Action</th>{shown.map(role => <th key={role} scope="col">{roleName(role)}</th>)}</tr></thead>
              <tbody>
                {data.actions.filter(one => shown.some(role => may(role, one.name))).map(one => (
                  <tr key={one.name}>
                    <th scope="row">{one.says}</th>
                    {shown.map(role => (
                      <td key={role}>{may(role, one.name) ? <><span className="yes" aria-hidden="true" /><span className="unseen">yes</span></> : <span className="unseen">no</span>}</td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </>
  );
}
