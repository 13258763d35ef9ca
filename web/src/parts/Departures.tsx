// What left the archive: deletions and exports, the newest first. Neither names
// what it was about.

import { api } from '../api/client';
import type { Deletion, Export } from '../api/types';
import { useMay } from '../api/session';
import { useResource } from '../api/useResource';
import { bytes, moment, plural } from '../lib/format';

import { Badge, Failure, Loading, type Tone } from '.';

/** More are told over the API. */
const SHOWN = 20;

interface Departure {
  key: string;
  at: string;
  by: string;
  tone: Tone;
  label: string;
  what: string;
  reason: string;
}

const CAUSES: Record<Deletion['cause'], [Tone, string, string]> = {
  person: ['warn', 'Deleted', ''],
  rejected: ['warn', 'Rejected', 'A rejection note named it.'],
  retention: ['quiet', 'Expired', 'A retention rule ended its time.'],
  erased: ['bad', 'Erased', 'A patient was erased: keys and rows are destroyed.'],
  erased_again: ['bad', 'Erased again', 'A backup from before the erasure was restored.'],
};

const EXTENTS: Record<Export['extent'], string> = { studies: 'Named studies', patient: 'A patient', everything: 'Everything' };

function ofDeletion(one: Deletion): Departure {
  const [tone, label, reason] = CAUSES[one.cause] ?? ['warn', one.cause, ''];
  const level = one.level === 'instance' ? 'image' : one.level;
  return {
    key: `deletion ${one.id}`, at: one.at, by: one.by, tone, label,
    what: `${level === 'image' ? 'An' : 'A'} ${level}${level === 'image' ? '' : `, ${plural(one.instances, 'image')}`}`,
    reason: one.reason || reason,
  };
}

function ofExport(one: Export): Departure {
  const extent = EXTENTS[one.extent] ?? one.extent;
  const much = one.files === null ? `${plural(one.studies, 'study', 'studies')}, not finished` : `${plural(one.files, 'image')}, ${bytes(one.bytes ?? 0)}`;
  const failed = one.failed ? ` ${plural(one.failed, 'image')} could not be exported.` : '';
  return {
    key: `export ${one.id}`, at: one.began_at, by: one.by, tone: 'busy', label: 'Exported',
    what: `${extent}, ${much}`, reason: `${one.as_received ? 'As received.' : 'As served, with corrections.'}${failed}`,
  };
}

export function Departures() {
  const deletions = useResource('deletions', api.deletions, ['studies']);
  const seesExports = useMay()('export-studies');
  const exports = useResource(seesExports ? 'exports' : undefined, api.exports, ['studies']);
  const there = deletions.data && (exports.data || !seesExports);
  const error = deletions.error ?? exports.error;
  const all = [...(deletions.data?.items ?? []).map(ofDeletion), ...(exports.data?.items ?? []).map(ofExport)]
    .sort((a, b) => b.at.localeCompare(a.at)).slice(0, SHOWN);
  return (
    <section aria-labelledby="departures">
      <h2 id="departures">What left the archive</h2>
      {error && <Failure error={error} retry={() => { deletions.reload(); exports.reload(); }} />}
      {!error && !there && <Loading lines={2} />}
      {there && all.length === 0 && <p className="faint">Nothing was deleted, erased or exported.</p>}
      {all.length > 0 && (
        <ul className="departures card">
          {all.map(one => (
            <li key={one.key}>
              <Badge tone={one.tone}>{one.label}</Badge>
              <div><strong>{one.what}</strong><p className="second">{one.reason}</p></div>
              <p className="second">{moment(one.at)}<br />{one.by}</p>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
