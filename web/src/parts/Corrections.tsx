// What was corrected of a study, by whom and why, and the way to correct more.

import { api } from '../api/client';
import type { Correction, StudyDetail } from '../api/types';
import { useResource } from '../api/useResource';
import { moment } from '../lib/format';

import { Empty, Failure, Loading } from '.';
import { Allowed } from './Allowed';
import { Correct, type Field } from './Correct';
import { MergesOf } from './PatientMerges';

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
      <Allowed to="correct-studies">
        <Correct open="Correct…" title="Correct this study" fields={fields(study)} done={() => { reload(); changed(); }}
          act={(set, reason) => api.correctStudy(study.study_uid, set, reason)} />
      </Allowed>
    </>
  );
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
        {entry.changes.map(change => (
          <li key={change.tag}>{change.keyword}: {change.before || 'nothing'} → {change.after || 'nothing'}</li>
        ))}
      </ul>
    </article>
  );
}

/** The attributes that most often arrive wrong; others are corrected over the API. */
function fields(study: StudyDetail): Field[] {
  return [
    ['PatientName', 'Name as DICOM writes it (Family^Given); left empty, it stays', ''],
    ['PatientID', 'Patient ID', study.patient.id],
    ['PatientBirthDate', 'Birth date (YYYYMMDD)', study.patient.birth_date],
    ['PatientSex', 'Sex (M, F or O)', study.patient.sex],
    ['AccessionNumber', 'Accession', study.accession],
    ['StudyDescription', 'Description', study.description],
  ];
}
