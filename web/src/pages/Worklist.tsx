// The worklist: studies, the last received first, with what became of them.

import { type ReactNode, useEffect, useRef, useState } from 'react';

import { api } from '../api/client';
import { useResource } from '../api/useResource';
import { AI_STATES, type Filters, addressOf, matchesAi, queryOf, readFilters } from '../lib/filters';
import { age, count, dicomDate, dicomTime, plural, sex } from '../lib/format';
import { type Row, rows } from '../lib/worklist';
import { Ago, Announce, Badge, Failure, Loading, Progress, useNow, useTitle } from '../parts';
import { FirstStudy } from '../parts/FirstStudy';
import { Link, navigate, useLocation } from '../router';

const MODALITIES = ['CR', 'CT', 'DX', 'MG', 'MR', 'NM', 'OT', 'PT', 'RF', 'SC', 'SEG', 'SR', 'US', 'XA'];

/** Typing is over after this long. */
const TYPED_MS = 250;

interface Loaded {
  rows: Row[];
  next: string | undefined;
  /** Services that did not answer. */
  missing: string[];
}

async function load(query: [string, string][], signal: AbortSignal): Promise<Loaded> {
  const page = await api.studies(query, signal);
  const uids = page.items.map(study => study.study_uid);
  // One service that is down must not take the worklist with it.
  const [runs, deliveries, patients] = await Promise.allSettled([
    api.runs(uids, signal), api.deliveries(uids, signal), api.patientStates(uids, signal),
  ]);
  const value = <T,>(result: PromiseSettledResult<T>) => (result.status === 'fulfilled' ? result.value : undefined);
  const missing = [
    [runs, 'AI results'] as const, [deliveries, 'deliveries'] as const, [patients, 'patient checks'] as const,
  ].filter(([result]) => result.status === 'rejected').map(([, name]) => name);
  return { rows: rows(page.items, value(runs), value(deliveries), value(patients)), next: page.next ?? undefined, missing };
}

export function Worklist() {
  useTitle('Worklist');
  const { search } = useLocation();
  const { filters, cursor } = readFilters(search);
  const query = queryOf(filters, cursor);
  const { data, error, loading, reload } = useResource(
    `worklist ${JSON.stringify(query)}`, signal => load(query, signal), ['studies', 'runs', 'deliveries', 'patients'],
  );
  // While another page loads, the one before stays, dimmed: nothing jumps.
  const [shown, setShown] = useState<Loaded>();
  useEffect(() => {
    if (data) setShown(data);
  }, [data]);
  const page = data ?? shown;
  const filtered = Object.keys(filters).length > 0;
  const matching = page?.rows.filter(row => matchesAi(row, filters.ai)) ?? [];

  return (
    <>
      <div className="page-head">
        <h1>Worklist</h1>
        <Announce text={data ? `${plural(matching.length, 'study', 'studies')} shown` : ''} />
      </div>
      <FilterBar filters={filters} />
      {error && <Failure error={error} retry={reload} />}
      {page && page.missing.length > 0 && (
        <p className="notice warn">Not available at the moment: {page.missing.join(', ')}. The images are safe; this list fills in by itself.</p>
      )}
      {!page && !error && <Loading lines={10} label="Loading the worklist" />}
      {page && page.rows.length > 0 && filters.ai && (
        <p className="page-only">
          <strong>{count(matching.length)} of the {plural(page.rows.length, 'study', 'studies')} on this page.</strong>{' '}
          The AI filter looks at one page at a time{page.next ? '; older studies may match too' : ''}.
        </p>
      )}
      {matching.length > 0 && <Table rows={matching} stale={!data && loading} />}
      {page && page.rows.length > 0 && matching.length === 0 && <NothingOnThisPage filters={filters} />}
      {page && page.rows.length === 0 && (filtered || cursor ? <NothingFound /> : <FirstStudy />)}
      {page && (cursor || page.next) && (
        <nav className="pager" aria-label="Pages of the worklist">
          {cursor && <Link className="button" href={addressOf(filters)}>Newest</Link>}
          {page.next && <Link className="button" href={addressOf(filters, page.next)}>Older studies</Link>}
        </nav>
      )}
    </>
  );
}

function NothingOnThisPage({ filters }: { filters: Filters }) {
  return (
    <div className="empty">
      <h2>No study on this page matches</h2>
      <p>None of them has this state of AI.</p>
      <p><Link className="button" href={addressOf({ ...filters, ai: '' })}>Show any state</Link></p>
    </div>
  );
}

function NothingFound() {
  return (
    <div className="empty">
      <h2>No study matches</h2>
      <p>Names are found in any case and with or without accents; numbers by how they begin, or with <kbd>*</kbd> and <kbd>?</kbd>.</p>
      <p><Link className="button" href="/">Clear all filters</Link></p>
    </div>
  );
}

function FilterBar({ filters }: { filters: Filters }) {
  const [typed, setTyped] = useState(filters);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const key = JSON.stringify(filters);
  // Back, forward and "clear" change the address under the fields.
  useEffect(() => setTyped(JSON.parse(key) as Filters), [key]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const change = (name: keyof Filters, value: string, wait: boolean) => {
    const next = { ...typed, [name]: value };
    setTyped(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => navigate(addressOf(next), true), wait ? TYPED_MS : 0);
  };
  const text = (name: keyof Filters, label: string, id?: string) => (
    <Field label={label}>
      <input id={id} type="search" value={typed[name] ?? ''} autoComplete="off" spellCheck={false} maxLength={64}
        onChange={event => change(name, event.target.value, true)} />
    </Field>
  );
  const day = (name: 'from' | 'to', label: string) => (
    <Field label={label}>
      <input type="date" value={typed[name] ?? ''} onChange={event => change(name, event.target.value, false)} />
    </Field>
  );
  return (
    <search>
      <form className="filters" onSubmit={event => event.preventDefault()} aria-label="Filter studies">
        {text('patient_name', 'Patient name', 'search')}
        {text('patient_id', 'Patient ID')}
        {text('accession', 'Accession')}
        <Field label="Modality" size="short">
          <select value={typed.modality ?? ''} onChange={event => change('modality', event.target.value, false)}>
            <option value="">All</option>
            {MODALITIES.map(modality => <option key={modality}>{modality}</option>)}
          </select>
        </Field>
        <Field label="AI" size="long">
          <select value={typed.ai ?? ''} onChange={event => change('ai', event.target.value, false)}>
            <option value="">Any</option>
            {Object.entries(AI_STATES).map(([state, label]) => <option key={state} value={state}>{label}</option>)}
          </select>
        </Field>
        {day('from', 'Study date from')}
        {day('to', 'to')}
        <button type="button" className="button clear" disabled={key === '{}'} onClick={() => navigate('/')}>Clear</button>
      </form>
    </search>
  );
}

function Field({ label, size = '', children }: { label: string; size?: '' | 'short' | 'long'; children: ReactNode }) {
  return <label className={`field ${size}`}><span>{label}</span>{children}</label>;
}

function Table({ rows, stale }: { rows: Row[]; stale: boolean }) {
  const now = useNow();
  return (
    <div className={stale ? 'sheet stale' : 'sheet'} aria-busy={stale}>
      <table className="worklist">
        <thead>
          <tr>
            <th scope="col">Patient</th><th scope="col">Study date</th><th scope="col">Study</th>
            <th scope="col" className="number">Images</th><th scope="col">Received</th>
            <th scope="col">AI</th><th scope="col">Delivery</th>
          </tr>
        </thead>
        <tbody>{rows.map(row => <StudyRow key={row.study.study_uid} row={row} now={now} />)}</tbody>
      </table>
    </div>
  );
}

function StudyRow({ row: { study, ai, delivery, patient }, now }: { row: Row; now: number }) {
  const years = age(study.patient.birth_date, study.study_date);
  const about = [study.patient.id, sex(study.patient.sex), years === undefined ? '' : `${years} y`].filter(Boolean);
  return (
    <tr>
      <td className="patient">
        <Link className="row-link" href={`/studies/${study.study_uid}`}>{study.patient.name || 'No name'}</Link>
        {patient === 'conflict' && <Badge tone="bad" title="This patient's data contradict each other; deliveries are held">Patient conflict</Badge>}
        {patient === 'no-patient-id' && <Badge tone="quiet" title="The images name no Patient ID">No ID</Badge>}
        <span className="second">{about.join(' · ') || ' '}</span>
      </td>
      <td data-label="Study date">
        {dicomDate(study.study_date) || '–'}
        <span className="second">{dicomTime(study.study_time)}</span>
      </td>
      <td data-label="Study">
        <span className="modalities">{study.modalities.map(name => <span key={name} className="modality">{name}</span>)}</span>
        <span className="description">{study.description || 'No description'}</span>
        <span className="second">{study.accession ? `Accession ${study.accession}` : ''}</span>
      </td>
      <td data-label="Images" className="number">
        {count(study.instance_count)}
        <span className="second">{plural(study.series_count, 'series', 'series')}</span>
      </td>
      <td data-label="Received"><Ago at={study.last_received_at} now={now} /></td>
      <td data-label="AI" className="ai"><AiState ai={ai} /></td>
      <td data-label="Delivery"><DeliveryState delivery={delivery} /></td>
    </tr>
  );
}

function AiState({ ai }: { ai: Row['ai'] }) {
  switch (ai.kind) {
    case 'unknown': return <span className="faint">Not available</span>;
    case 'none': return <span className="faint">No model has run</span>;
    case 'queued': return <Badge tone="busy">Queued</Badge>;
    case 'running': return <Progress value={ai.progress} label={ai.step || 'Running'} />;
    case 'failed': return <><Badge tone="bad">Failed</Badge><span className="second clip" title={ai.reason}>{ai.reason}</span></>;
    case 'refused': return <><Badge tone="quiet">Not run</Badge><span className="second clip" title={ai.reason}>{ai.reason}</span></>;
    case 'succeeded':
      return (
        <>
          {ai.results.length > 0 ? ai.results.map(text => <span key={text} className="result">{text}</span>) : <Badge tone="good">Done</Badge>}
          <span className="second">
            Research only{ai.warnings > 0 && <> · <span className="warn-text">{plural(ai.warnings, 'warning')}</span></>}
          </span>
        </>
      );
  }
}

const DELIVERY = {
  'given-up': ['bad', 'Given up'], held: ['warn', 'Held'], sending: ['busy', 'Sending'],
  waiting: ['busy', 'Waiting'], delivered: ['good', 'Delivered'],
} as const;

function DeliveryState({ delivery }: { delivery: Row['delivery'] }) {
  if (!delivery) return <span className="faint">–</span>;
  const [tone, label] = DELIVERY[delivery.state];
  return (
    <>
      <Badge tone={tone}>{label}</Badge>
      {delivery.total > 1 && <span className="second">{delivery.done} of {delivery.total} done</span>}
    </>
  );
}
