// Up to where the audit trail is sealed, and whether it is whole.

import { useState } from 'react';

import { admin } from '../api/admin';
import type { Verification } from '../api/audit';
import { useResource } from '../api/useResource';
import { moment, plural } from '../lib/format';

import { Action, Badge, Notice } from '.';

export function Seals() {
  const { data, error, reload } = useResource('seals', admin.seals, []);
  const [checked, setChecked] = useState<Verification>();
  const newest = data?.items[0];
  return (
    <div className="card seals">
      <div className="card-head">
        <p>
          {newest
            ? <><Badge tone="good">Sealed</Badge> Everything up to {moment(newest.at)} is sealed with a signature, the last time as number {newest.number}.</>
            : error ? <span className="bad-text">{error.message}</span> : <span className="faint">{data ? 'Nothing is sealed yet: it happens every minute once there is something.' : 'Asking for the seals'}</span>}
        </p>
        <Action act={async () => setChecked(await admin.verifyAudit())} done={reload}>Check the whole trail</Action>
      </div>
      {checked && (checked.sound
        ? <Notice tone="busy" title={`Whole: ${plural(checked.entries, 'entry', 'entries')} checked`}><p>Nothing was changed, removed, reordered or cut off.</p></Notice>
        : (
          <Notice tone="bad" title="The trail was tampered with, or is damaged">
            <ul>{checked.findings.map(finding => <li key={finding}>{finding}</li>)}</ul>
          </Notice>
        ))}
    </div>
  );
}
