// Moves what came under the wrong study: a series to where it belongs, or all of
// a study into another one.

import { useRef, useState } from 'react';

import { api } from '../api/client';
import type { Move, Series, Study, StudyDetail } from '../api/types';
import { useResource } from '../api/useResource';
import { dicomDate, plural } from '../lib/format';
import { navigate } from '../router';

import { Failure, Loading } from '.';
import { Dialogue } from './Dialogue';

/** Chosen instead of a study: its UID is typed, or it is made. */
const TYPED = 'typed';
const MADE = 'made';

interface Target {
  chosen: string;
  typed: string;
  /** Attributes of a study that is made. */
  set: Record<string, string>;
}

const NOWHERE: Target = { chosen: '', typed: '', set: {} };

function isComplete({ chosen, typed }: Target): boolean {
  return chosen === TYPED ? /^[0-9.]{1,64}$/.test(typed.trim()) : chosen !== '';
}

function asked({ chosen, typed, set }: Target): Omit<Move, 'reason'> {
  if (chosen === MADE) return { set };
  return { to_study_uid: chosen === TYPED ? typed.trim() : chosen };
}

export function MoveSeries({ study, series, children }: { study: StudyDetail; series: Series; children: React.ReactNode }) {
  return (
    <MoveDialogue study={study} open="Move series…" title="Move this series" made what={{ series_uid: series.series_uid }}>
      {children}
      <p>{plural(series.instance_count, 'image')} will answer under the other study, with its patient. What was received stays as it is, and images of this series that come later follow.</p>
    </MoveDialogue>
  );
}

export function MergeStudy({ study }: { study: StudyDetail }) {
  return (
    <MoveDialogue study={study} open="Merge into another study…" title="Merge this study" what={{}}>
      <p>All {plural(study.series.length, 'series', 'series')} of this study, {plural(study.instance_count, 'image')}, will answer under the other study, with its patient; this study ends. What was received stays as it is, and images of this study that come later follow.</p>
    </MoveDialogue>
  );
}

function MoveDialogue({ study, open, title, what, made = false, children }: {
  study: StudyDetail; open: string; title: string; what: Pick<Move, 'series_uid'>; made?: boolean; children: React.ReactNode;
}) {
  const [opened, setOpened] = useState(false);
  const [target, setTarget] = useState(NOWHERE);
  const arrived = useRef('');
  return (
    <Dialogue open={open} opened={() => setOpened(true)} title={title} disabled={!isComplete(target)}
      act={async reason => { arrived.current = (await api.move(study.study_uid, { ...what, ...asked(target), reason })).study_uid; }}
      done={() => { setTarget(NOWHERE); navigate(`/studies/${arrived.current}`); }}>
      {children}
      {opened && <Choice study={study} target={target} put={setTarget} made={made} />}
    </Dialogue>
  );
}

function Choice({ study, target, put, made }: { study: StudyDetail; target: Target; put: (target: Target) => void; made: boolean }) {
  const { id, issuer } = study.patient;
  const known = useResource(`studies of ${study.study_uid}`, async signal => {
    // `*` and `?` are wild cards to a search, and none here.
    const items = id ? (await api.studies([['patient_id', id], ['limit', '200']], signal)).items : [];
    return items.filter(one => one.patient.id === id && one.patient.issuer === issuer && one.study_uid !== study.study_uid);
  }, []);
  if (known.error) return <Failure error={known.error} retry={known.reload} />;
  if (!known.data) return <Loading lines={1} />;
  const field = (name: string, label: string) => (
    <label key={name} className="field">
      <span>{label}</span>
      <input maxLength={200} value={target.set[name] ?? ''} onChange={event => {
        const { [name]: _, ...rest } = target.set;
        put({ ...target, set: event.target.value ? { ...rest, [name]: event.target.value } : rest });
      }} />
    </label>
  );
  return (
    <>
      <label className="field">
        <span>Where does it belong?</span>
        <select required value={target.chosen} onChange={event => put({ ...target, chosen: event.target.value })}>
          <option value="" disabled>Choose a study</option>
          {known.data.length > 0 && (
            <optgroup label="Other studies of this patient">
              {known.data.map(one => <option key={one.study_uid} value={one.study_uid}>{described(one)}</option>)}
            </optgroup>
          )}
          <option value={TYPED}>Another study, by its UID</option>
          {made && <option value={MADE}>A new study</option>}
        </select>
      </label>
      {target.chosen === TYPED && (
        <label className="field">
          <span>Study Instance UID, as it stands at the end of the study's page</span>
          <input required maxLength={64} value={target.typed} pattern="[0-9. ]+" onChange={event => put({ ...target, typed: event.target.value })} />
        </label>
      )}
      {target.chosen === MADE && (
        <>
          <p className="second">What is left empty stays as it is in this study.</p>
          {field('PatientID', 'Patient ID')}
          {field('PatientName', 'Name as DICOM writes it (Family^Given)')}
          {field('PatientBirthDate', 'Birth date (YYYYMMDD)')}
          {field('AccessionNumber', 'Accession')}
        </>
      )}
    </>
  );
}

function described(study: Study): string {
  const parts = [dicomDate(study.study_date), study.modalities.join(', '), study.description, plural(study.instance_count, 'image')];
  return parts.filter(Boolean).join(' · ');
}
