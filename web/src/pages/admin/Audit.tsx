// Who did what, when and to whom: searched, exported, and checked.

import { Fragment, useState } from 'react';

import type { Person } from '../../api/access';
import type { AuditEntry } from '../../api/audit';
import { admin } from '../../api/admin';
import type { Query } from '../../api/http';
import { useMay } from '../../api/session';
import { usePages } from '../../api/usePages';
import { clock, day, moment } from '../../lib/format';
import { ACTS, acted, counted, did, remarks, who } from '../../lib/sentence';
import { Badge, Failure, Loading, useTitle } from '../../parts';
import { More } from '../../parts/More';
import { Seals } from '../../parts/Seals';
import { useSubmit } from '../../parts/useSubmit';

const EMPTY = { patient_id: '', study_uid: '', person: '', action: '', outcome: '', from: '', to: '' };
type Filters = typeof EMPTY;

/** A day of the person's own clock, as a moment. */
const instant = (date: string, days: number): string => {
  const at = new Date(`${date}T00:00:00`);
  at.setDate(at.getDate() + days);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString();
};

const queryOf = ({ from, to, ...same }: Filters): Query =>
  [...Object.entries(same).map(([name, value]): [string, string] => [name, value.trim()]), ['from', from && instant(from, 0)], ['to', to && instant(to, 1)]];

export function Audit() {
  useTitle('Audit trail');
  const may = useMay();
  const [typed, setTyped] = useState(EMPTY);
  const [asked, setAsked] = useState(EMPTY);
  const [several, setSeveral] = useState<Person[]>();
  const find = useSubmit(async () => {
    setSeveral(undefined);
    const name = typed.person.trim();
    const found = name && may('view-people') ? (await admin.people(name, undefined, new AbortController().signal, '10')).items : [];
    const [first, second] = found;
    if (first && second) setSeveral(found);
    // What names no person may name a key, a device or a service.
    else setAsked({ ...typed, person: first?.id ?? name });
  });
  const query = queryOf(asked);
  const entries = usePages(`audit ${JSON.stringify(asked)}`, (after, signal) => admin.audit(query, after, signal));
  const put = (name: keyof Filters) => (event: { target: { value: string } }) => setTyped({ ...typed, [name]: event.target.value });
  const text = (name: keyof Filters, label: string, longest = 64) => (
    <label className="field"><span>{label}</span><input type="search" maxLength={longest} autoComplete="off" spellCheck={false} value={typed[name]} onChange={put(name)} /></label>
  );
  return (
    <>
      <div className="page-head"><h1>Audit trail</h1></div>
      <p className="lead">Everything that people, programs and devices did with this organisation's data. Nobody can change it unseen; looking at it is recorded too.</p>
      <Seals />
      <search>
        {/* Asked for at the end, not while typing: each search is recorded. */}
        <form className="filters search-trail" aria-label="Search the audit trail" onSubmit={find.submit}>
          {text('patient_id', 'Patient ID')}
          {text('study_uid', 'Study Instance UID')}
          {text('person', 'Who', 200)}
          <label className="field"><span>What</span>
            <select value={typed.action} onChange={put('action')}>
              <option value="">Anything</option>
              {Object.entries(ACTS).map(([act, [label]]) => <option key={act} value={act}>{label}</option>)}
            </select>
          </label>
          <label className="field"><span>How it ended</span>
            <select value={typed.outcome} onChange={put('outcome')}>
              <option value="">Any</option><option value="success">Done</option><option value="refused">Refused</option><option value="failed">Failed</option>
            </select>
          </label>
          <label className="field"><span>From</span><input type="date" value={typed.from} onChange={put('from')} /></label>
          <label className="field"><span>to</span><input type="date" value={typed.to} onChange={put('to')} /></label>
          <div className="decisions">
            <button type="submit" className="button primary">Search</button>
            <button type="button" className="button" onClick={() => { setTyped(EMPTY); setAsked(EMPTY); }}>Clear</button>
          </div>
        </form>
      </search>
      {find.problem && <p className="problem" role="alert">{find.problem}</p>}
      {several && (
        <div className="notice busy" role="group" aria-label="Which person?">
          <p className="notice-title">Which person?</p>
          <div className="decisions">
            {several.map(one => <button key={one.id} type="button" className="button" onClick={() => { setSeveral(undefined); setAsked({ ...typed, person: one.id }); }}>{one.name} · {one.email}</button>)}
          </div>
        </div>
      )}
      {entries.error && <Failure error={entries.error} retry={entries.reload} />}
      {!entries.items && !entries.error && <Loading lines={6} />}
      {entries.items?.length === 0 && <p className="faint">Nothing was recorded that matches.</p>}
      {entries.items && entries.items.length > 0 && (
        <>
          {may('export-audit') && (
            <p className="exports">Take what matches with you:{' '}
              <a className="button" href={admin.auditExport('csv', query)} download="audit.csv">Table (CSV)</a>{' '}
              <a className="button" href={admin.auditExport('fhir', query)} download="audit.ndjson">FHIR AuditEvents</a>
            </p>
          )}
          <Entries items={entries.items} />
        </>
      )}
      <More pages={entries} />
    </>
  );
}

function Entries({ items }: { items: AuditEntry[] }) {
  return (
    <ol className="trail card">
      {items.map((entry, index) => (
        <Fragment key={`${entry.writer} ${entry.position}`}>
          {day(entry.at) !== day(items[index - 1]?.at ?? '') && <li className="day second">{day(entry.at)}</li>}
          <Line entry={entry} />
        </Fragment>
      ))}
    </ol>
  );
}

const OUTCOME = { success: undefined, refused: ['warn', 'Refused'], failed: ['bad', 'Failed'] } as const;

function Line({ entry }: { entry: AuditEntry }) {
  const outcome = OUTCOME[entry.outcome];
  return (
    <li>
      <time dateTime={entry.at} title={moment(entry.at)}>{clock(entry.at)}</time>
      <div>
        <p><strong>{who(entry)}</strong> <span className="did">{did(entry)}</span> {entry.break_glass && <Badge tone="bad">by emergency access</Badge>} {outcome && <Badge tone={outcome[0]}>{outcome[1]}</Badge>}</p>
        <p className="second">
          {[...acted(entry).map(one => `about ${who({ who: one, right: '', name: entry.acted_on }).replace(/^(The key|A person who)/, start => start.toLowerCase())}`), entry.from && `from ${entry.from}`, counted(entry), ...remarks(entry)].filter(Boolean).join(' · ')}
        </p>
      </div>
    </li>
  );
}
