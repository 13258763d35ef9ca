// What the archive holds, against what it may hold, and how long.

import type { RetentionRule, Storage } from '../api/types';
import { bytes, count, plural } from '../lib/format';
import { retention } from '../lib/retention';
import { Link } from '../router';

import { Fact } from '.';

export function ArchiveCard({ storage }: { storage: Storage }) {
  return (
    <div className="card">
      <div className="meters">
        <Meter name="Images" held={storage.instances} quota={storage.quota_instances} write={count}
          more={`${plural(storage.series, 'series', 'series')} in ${plural(storage.studies, 'study', 'studies')}`} />
        <Meter name="On disk" held={storage.bytes} quota={storage.quota_bytes} write={bytes}
          more={`${plural(storage.packs, 'pack')} of settled series, ${plural(storage.bundles, 'bundle')} of recent images`} />
      </div>
      <dl className="facts">
        <Fact name="Index, look-up and keys">{bytes(storage.index_bytes + storage.lookup_bytes + storage.key_bytes)}</Fact>
        <Fact name="Images with two contents">
          {storage.conflicts === 0 ? 'None' : <Link href="/conflicts">{count(storage.conflicts)} to decide</Link>}
        </Fact>
        <Fact name="In quarantine">
          {storage.quarantine_items === 0 ? 'Nothing' : <Link href="/quarantine">{plural(storage.quarantine_items, 'item')}, {bytes(storage.quarantine_bytes)}</Link>}
        </Fact>
        <Fact name="Legal holds">{storage.holds === 0 ? 'None' : count(storage.holds)}</Fact>
      </dl>
      <Kept rules={storage.retention} />
    </div>
  );
}

/** How much of what may be held is held. */
function Meter({ name, held, quota, write, more }: {
  name: string; held: number; quota: number | null; write: (value: number) => string; more: string;
}) {
  const full = quota !== null && held >= quota;
  return (
    <div className="meter">
      <p><span className="value">{write(held)}</span> <span className="faint">{quota === null ? `${name.toLowerCase()}, no quota` : `of ${write(quota)} ${name.toLowerCase()}`}</span></p>
      {quota !== null && <meter aria-label={`${name}: share of the quota`} min={0} max={quota} high={quota * 0.9} value={Math.min(held, quota)} />}
      {full && <p className="bad-text">Full: new images are refused until some are deleted or the quota is raised.</p>}
      <p className="second">{more}</p>
    </div>
  );
}

function Kept({ rules }: { rules: RetentionRule[] }) {
  if (rules.length === 0) return <p className="second">No retention rule: studies stay until somebody deletes them.</p>;
  return (
    <div>
      <h3>How long studies are kept</h3>
      <ul className="objects">{rules.map(rule => <li key={retention(rule)}>{retention(rule)}</li>)}</ul>
    </div>
  );
}
