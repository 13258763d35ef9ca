// Makes one of two patients who are the same person.

import { useState } from 'react';

import { api } from '../api/client';
import type { PatientRef, StudyDetail } from '../api/types';
import { useResource } from '../api/useResource';
import { dicomDate, plural } from '../lib/format';
import { isSame, type Known, named, patientsUnder } from '../lib/merges';

import { Failure } from '.';
import { Dialogue } from './Dialogue';

/** As many as one search answers with. */
const SEARCHED = 200;

interface Chosen {
  typed: string;
  /** `undefined`: whose it is where the Patient ID is known, or this patient's. */
  issuer: string | undefined;
  /** The Patient ID of this study stays. */
  thisStays: boolean;
}

const NOBODY: Chosen = { typed: '', issuer: undefined, thisStays: false };

export function MergePatients({ study, done }: { study: StudyDetail; done: () => void }) {
  const [opened, setOpened] = useState(false);
  const [chosen, setChosen] = useState(NOBODY);
  const { id, issuer } = study.patient;
  const mine: PatientRef = { id, issuer };
  const typed = chosen.typed.trim();
  const found = useResource(`patients under ${opened ? typed : ''}`, async signal => {
    if (!opened || !typed) return [];
    const { items } = await api.studies([['patient_id', typed], ['limit', String(SEARCHED)]], signal);
    return patientsUnder(typed, items).filter(one => !isSame(one.patient, mine));
  }, []);
  const known = found.data ?? [];
  const other: PatientRef = { id: typed, issuer: chosen.issuer ?? (known.length > 0 ? known[0]?.patient.issuer : issuer) ?? '' };
  const [prior, surviving] = chosen.thisStays ? [other, mine] : [mine, other];
  // Nobody merges before they saw who it is.
  const complete = typed !== '' && found.data !== undefined && !isSame(other, mine);
  if (!id) return null;
  return (
    <Dialogue open="Merge patients…" opened={() => setOpened(true)} title="Merge these patients" disabled={!complete}
      act={reason => api.mergePatients(prior, surviving, reason)} done={() => { setChosen(NOBODY); done(); }}>
      <p>For one person who came under two Patient IDs. This study is of <strong>{named(mine)}</strong>{study.patient.name && `, ${study.patient.name}`}.</p>
      <label className="field">
        <span>The other Patient ID of the same person</span>
        <input required maxLength={64} autoComplete="off" value={chosen.typed}
          onChange={event => setChosen({ ...chosen, typed: event.target.value, issuer: undefined })} />
      </label>
      {typed && found.error && <Failure error={found.error} retry={found.reload} />}
      {typed && found.data && <Who known={known} other={other} mine={mine} put={value => setChosen({ ...chosen, issuer: value })} />}
      {complete && (
        <>
          <fieldset className="choice">
            <legend>Which Patient ID stays?</legend>
            <Stays of={other} on={!chosen.thisStays} put={() => setChosen({ ...chosen, thisStays: false })} note="the other one" />
            <Stays of={mine} on={chosen.thisStays} put={() => setChosen({ ...chosen, thisStays: true })} note="the one of this study" />
          </fieldset>
          <p>Every study of <strong>{named(prior)}</strong> becomes one of <strong>{named(surviving)}</strong>, with the name, birth date and sex that are known there. Images that come later under {named(prior)} follow. What was received stays as it is, and the merge can be taken back.</p>
        </>
      )}
    </Dialogue>
  );
}

function Stays({ of, on, put, note }: { of: PatientRef; on: boolean; put: () => void; note: string }) {
  return (
    <label>
      <input type="radio" name="stays" checked={on} onChange={put} />
      <span><strong>{named(of)}</strong> <span className="second">{note}</span></span>
    </label>
  );
}

/** Who the other Patient ID is; of several issuers one is chosen. */
function Who({ known, other, mine, put }: { known: Known[]; other: PatientRef; mine: PatientRef; put: (issuer: string) => void }) {
  if (known.length === 0) {
    if (isSame(other, mine)) return <p className="problem">This is the Patient ID of this study.</p>;
    return <p className="second">No study here is under this Patient ID{other.issuer && ` (${other.issuer})`} yet. Check that it is right.</p>;
  }
  if (known.length === 1 && known[0]) return <p className="named">{described(known[0])}</p>;
  return (
    <label className="field">
      <span>Several have this Patient ID. Who is it?</span>
      <select value={other.issuer} onChange={event => put(event.target.value)}>
        {known.map(one => <option key={one.patient.issuer} value={one.patient.issuer}>{described(one)}</option>)}
      </select>
    </label>
  );
}

function described({ patient, studies }: Known): string {
  const many = studies === SEARCHED ? `${SEARCHED} studies or more` : plural(studies, 'study', 'studies');
  const born = patient.birth_date && `born ${dicomDate(patient.birth_date)}`;
  return [patient.name || 'No name', born, patient.issuer, many].filter(Boolean).join(' · ');
}
