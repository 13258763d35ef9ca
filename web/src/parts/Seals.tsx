// Whether the audit trail is whole.

import { useState } from 'react';

import { admin } from '../api/admin';
import type { Verification } from '../api/audit';
import { plural } from '../lib/format';

import { Action, Badge, Notice } from '.';

export function Seals() {
  const [checked, setChecked] = useState<Verification>();
  return (
    <div className="card seals">
      <div className="card-head">
        <p><Badge tone="good">Sealed</Badge> Every minute, what was written is sealed with a signature. Whatever is changed, removed or reordered afterwards is found.</p>
        <Action act={async () => setChecked(await admin.verifyAudit())} done={() => {}}>Check the whole trail</Action>
      </div>
      {checked && <Result found={checked} />}
    </div>
  );
}

function Result({ found }: { found: Verification }) {
  const entries = found.writers.reduce((sum, one) => sum + one.entries, 0);
  const faults = [...found.writers.flatMap(one => one.faults), ...found.seal_faults];
  if (found.intact) {
    return (
      <Notice tone="busy" title={`Whole: ${plural(entries, 'entry', 'entries')} and ${plural(found.seals, 'seal')} checked`}>
        <p>Nothing was changed, removed, reordered or cut off.</p>
      </Notice>
    );
  }
  return (
    <Notice tone="bad" title="The trail was changed, or is damaged">
      <ul>{faults.map(fault => <li key={fault}>{fault}</li>)}</ul>
      <p>Keep the data folder as it is, and tell whoever runs this installation.</p>
    </Notice>
  );
}
