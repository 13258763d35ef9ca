// Merges of patients that stand, and the way to take one back.

import { api } from '../api/client';
import type { PatientMerge, PatientRef } from '../api/types';
import { useResource } from '../api/useResource';
import { moment, plural } from '../lib/format';
import { mergesOf, named } from '../lib/merges';

import { Action, Failure, Loading } from '.';
import { Allowed } from './Allowed';

/** More are told over the API. */
const SHOWN = 50;

/** Merges that a study's patient came of. */
export function MergesOf({ patient, changed }: { patient: PatientRef; changed: () => void }) {
  const { data, error, reload } = useResource('patient merges', api.patientMerges, ['studies']);
  const items = data && patient.id ? mergesOf(data.items, patient) : [];
  return (
    <>
      {error && <Failure error={error} retry={reload} />}
      {items.slice(0, SHOWN).map(one => <Entry key={one.id} merge={one} done={() => { reload(); changed(); }} />)}
    </>
  );
}

/** All of them. */
export function PatientMerges() {
  const { data, error, reload } = useResource('patient merges', api.patientMerges, ['studies']);
  return (
    <section aria-labelledby="patient-merges">
      <h2 id="patient-merges">Merged patients</h2>
      {error && <Failure error={error} retry={reload} />}
      {!data && !error && <Loading lines={2} />}
      {data?.items.length === 0 && <p className="faint">No patients are merged. Two are merged on the page of a study, under Manage.</p>}
      {data?.items.slice(0, SHOWN).map(one => <Entry key={one.id} merge={one} done={reload} />)}
      {data && data.items.length > SHOWN && <p className="faint">The newest {SHOWN} of {data.items.length}.</p>}
    </section>
  );
}

function Entry({ merge, done }: { merge: PatientMerge; done: () => void }) {
  const prior = named(merge.prior);
  return (
    <article className="card merge">
      <header className="card-head">
        <div>
          <h3>Patient {prior} was merged into {named(merge.surviving)}</h3>
          <p>{merge.reason}</p>
          <p className="second">{merge.by} · {moment(merge.at)} · {plural(merge.studies, 'study', 'studies')} corrected; later ones follow</p>
        </div>
        <Allowed to="correct-studies">
          <Action act={() => api.undoPatientMerge(merge.id)} done={done}
            confirm={`Give ${merge.studies === 1 ? 'the study' : 'the studies'} back to ${prior}?`}>Take back</Action>
        </Allowed>
      </header>
    </article>
  );
}
