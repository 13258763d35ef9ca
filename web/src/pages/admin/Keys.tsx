// Keys by which other programs come in.

import { useState } from 'react';

import type { ApiKey, Role } from '../../api/access';
import { admin } from '../../api/admin';
import { useMay } from '../../api/session';
import { useNames } from '../../api/useNames';
import { usePages } from '../../api/usePages';
import { useResource } from '../../api/useResource';
import { EXPIRIES, type Expiry, expiresAt } from '../../lib/expiry';
import { day, moment } from '../../lib/format';
import { OF_KEYS, ROLE, roleName } from '../../lib/roles';
import { Badge, Empty, Failure, Loading, useTitle } from '../../parts';
import { Modal } from '../../parts/Dialogue';
import { More } from '../../parts/More';
import { SecretOnce } from '../../parts/SecretOnce';
import { Choice, TextField } from '../../parts/fields';

export function Keys() {
  useTitle('API keys');
  const may = useMay();
  const keys = usePages('keys', (after, signal) => admin.keys(after, signal));
  const names = useNames(keys.items?.map(one => one.created_by) ?? []);
  const [secret, setSecret] = useState('');
  return (
    <>
      <div className="page-head"><h1>API keys</h1>{may('manage-keys') && <Make made={made => { setSecret(made); keys.reload(); }} />}</div>
      <p className="lead">With a key, another program sends images in or fetches results, over the web instead of DICOM. Make one for each program, so that each can be taken away alone.</p>
      {secret && <SecretOnce secret={secret} done={() => setSecret('')} />}
      {keys.error && <Failure error={keys.error} retry={keys.reload} />}
      {!keys.items && !keys.error && <Loading lines={3} />}
      {keys.items?.length === 0 && !secret && <Empty title="No key yet"><p>Nothing but people and devices comes in.</p></Empty>}
      {keys.items && keys.items.length > 0 && (
        <div className="sheet">
          <table className="rows">
            <thead><tr><th scope="col">Name</th><th scope="col">Role</th><th scope="col">Last used</th><th scope="col">Ends</th><th scope="col"><span className="unseen">What to do</span></th></tr></thead>
            <tbody>{keys.items.map(one => <KeyRow key={one.id} item={one} by={names.get(one.created_by) ?? ''} changed={keys.reload} />)}</tbody>
          </table>
        </div>
      )}
      <More pages={keys} />
    </>
  );
}

function KeyRow({ item, by, changed }: { item: ApiKey; by: string; changed: () => void }) {
  const may = useMay();
  const over = item.expires_at !== null && Date.parse(item.expires_at) < Date.now();
  return (
    <tr>
      <td><span className="named">{item.name}</span><span className="second">Made {day(item.created_at)}{by && ` by ${by}`}</span></td>
      <td data-label="Role">{roleName(item.role)}{item.limited_to && <span className="second">only {item.limited_to.join(', ')}</span>}</td>
      <td data-label="Last used">{item.used_at ? <>{moment(item.used_at)}{item.used_from && <span className="second">from {item.used_from}</span>}</> : <span className="faint">Never</span>}</td>
      <td data-label="Ends">{item.expires_at === null ? <span className="faint">Never</span> : <>{day(item.expires_at)}{over && <> <Badge tone="warn">Over</Badge></>}</>}</td>
      <td className="row-actions">
        {may('manage-keys') && (
          <Modal kind="danger" open="Revoke…" title={`Revoke ${item.name}`} submit="Revoke" act={() => admin.revokeKey(item.id)} done={changed}>
            <p>The program that uses it is refused at once, and for good.</p>
          </Modal>
        )}
      </td>
    </tr>
  );
}

function Make({ made }: { made: (secret: string) => void }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('integration');
  const [expiry, setExpiry] = useState<Expiry>('90');
  const [limit, setLimit] = useState<string[]>();
  const [opened, setOpened] = useState(false);
  const matrix = useResource(opened ? 'roles' : undefined, admin.roles, []);
  const choices = matrix.data?.actions.filter(one => matrix.data?.roles.find(held => held.name === role)?.actions.includes(one.name)) ?? [];
  const toggle = (action: string) => setLimit(limit?.includes(action) ? limit.filter(one => one !== action) : [...(limit ?? []), action]);
  const act = () => admin.makeKey({ name: name.trim(), role, expires_at: expiresAt(expiry, Date.now()), limited_to: limit ?? null });
  return (
    <Modal kind="primary" open="Make a key…" title="Make an API key" submit="Make the key" opened={() => setOpened(true)}
      disabled={limit?.length === 0} act={act} done={key => { made(key.key); setName(''); setLimit(undefined); }}>
      <TextField label="Name" hint="Which program is it for?" required maxLength={100} autoComplete="off" value={name} change={setName} />
      <Choice label="Role" hint={ROLE[role][1]} value={role} change={next => { setRole(next); setLimit(undefined); }} options={OF_KEYS.map(one => [one as Role, roleName(one)] as const)} />
      <Choice label="Ends" value={expiry} change={setExpiry} options={EXPIRIES} />
      <fieldset className="choice">
        <legend>What it may do</legend>
        <label><input type="radio" checked={!limit} onChange={() => setLimit(undefined)} />Everything its role may</label>
        <label><input type="radio" checked={!!limit} onChange={() => setLimit([])} />Only some of it</label>
        {limit && <div className="limits">{choices.map(one => <label key={one.name}><input type="checkbox" checked={limit.includes(one.name)} onChange={() => toggle(one.name)} />{one.says}</label>)}</div>}
      </fieldset>
    </Modal>
  );
}
