// What was corrected of a study, by whom and why, and the way to correct more.

import { useState } from 'react';

import { api } from '../api/client';
import type { Correction, StudyDetail } from '../api/types';
import { useResource } from '../api/useResource';
import { moment } from '../lib/format';
import { Empty, Failure, Loading } from '.';
import { Dialogue } from './Dialogue';
import { MergesOf } from './PatientMerges';

/** The attributes that most often arrive wrong; others are corrected over the API. */
const FIELDS = [
  ['PatientID', 'Patient ID', 'id'],
  ['PatientBirthDate', 'Birth date (YYYYMMDD)', 'birth_date'],
  ['PatientSex', 'Sex (M, F or O)', 'sex'],
] as const;

export function Corrections({ study, changed }: { study: StudyDetail; changed: () => void }) {
  const uid = study.study_uid;
  const { data, error, reload } = useResource(`corrections ${uid}`, signal => api.corrections(uid, signal), ['studies'], uid);
  return (
    <>
      {error && <Failure error={error} retry={reload} />}
      {!data && !error && <Loading lines={2} />}
      {data?.items.length === 0 && <Empty title="Nothing was corrected"><p>The study is shown as it was received.</p></Empty>}
      {data?.items.map(one => <Entry key={one.id} entry={one} />)}
      <MergesOf patient={study.patient} changed={() => { reload(); changed(); }} />
      <Correct study={study} done={() => { reload(); changed(); }} />
    </>
  );
}

/** A move may name an attribute twice, and what is the same in both studies. */
function changed({ changes }: Correction): Correction['changes'] {
  return changes.filter(({ tag, before, after }, index) =>
    (before ?? '') !== (after ?? '') && changes.findLastIndex(one => one.tag === tag) === index);
}

function Entry({ entry }: { entry: Correction }) {
  return (
    <article className="card">
      <header className="card-head">
        <div>
          <h3>{entry.reason}</h3>
          <p className="second">{entry.by} · {moment(entry.at)}{entry.series_uid && ' · one series'}</p>
        </div>
      </header>
      <ul className="objects">
        {changed(entry).map(change => (
          <li key={change.tag}>{change.keyword}: {change.before || 'nothing'} → {change.after || 'nothing'}</li>
        ))}
      </ul>
    </article>
  );
}

function Correct({ study, done }: { study: StudyDetail; done: () => void }) {
  const [set, setSet] = useState<Record<string, string>>({});
  const put = (name: string, value: string, was: string) => {
    const { [name]: _, ...rest } = set;
    setSet(value === was ? rest : { ...rest, [name]: value });
  };
  const field = (name: string, label: string, was: string) => (
    <label key={name} className="field">
      <span>{label}</span>
      <input maxLength={200} value={set[name] ?? was} onChange={event => put(name, event.target.value, was)} />
    </label>
  );
  return (
    <Dialogue open="Correct…" title="Correct this study" disabled={Object.keys(set).length === 0}
      act={async reason => { await api.correctStudy(study.study_uid, set, reason); setSet({}); }} done={done}>
      <p>The received images stay as they are. Everything that is shown, sent or computed from now on carries the correction, and what it replaced.</p>
      {field('PatientName', 'Name as DICOM writes it (Family^Given); left empty, it stays', '')}
      {FIELDS.map(([name, label, key]) => field(name, label, study.patient[key]))}
      {field('AccessionNumber', 'Accession', study.accession)}
      {field('StudyDescription', 'Description', study.description)}
    </Dialogue>
  );
}
