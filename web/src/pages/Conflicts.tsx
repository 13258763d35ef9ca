// What contradicts itself and waits for a person: patients and instances.

import { api } from '../api/client';
import type { InstanceConflict, PatientConflict } from '../api/types';
import { useResource } from '../api/useResource';
import { dicomDate, moment, sex, source } from '../lib/format';
import { Action, Announce, Empty, Failure, Loading, Uid, useTitle } from '../parts';
import { Link } from '../router';

export function Conflicts() {
  useTitle('Conflicts');
  const patients = useResource('patient-conflicts', api.patientConflicts, ['patients']);
  const instances = useResource('instance-conflicts', api.instanceConflicts, ['studies']);
  const nothing = patients.data?.items.length === 0 && instances.data?.items.length === 0;
  return (
    <>
      <div className="page-head"><h1>Conflicts</h1></div>
      <p className="lead">Hilum never guesses who a patient is. Until a person decides, images are kept and shown, and results are not delivered.</p>
      {patients.error && <Failure error={patients.error} retry={patients.reload} />}
      {instances.error && <Failure error={instances.error} retry={instances.reload} />}
      {!patients.data && !patients.error && <Loading />}
      {nothing && <Empty title="No conflicts"><p>Patients and images agree with each other.</p></Empty>}
      <Announce text={patients.data ? `${patients.data.items.length} patient conflicts` : ''} />
      {(patients.data?.items.length ?? 0) > 0 && (
        <section aria-labelledby="patients">
          <h2 id="patients">Patients</h2>
          {patients.data?.items.map(one => <PatientCard key={one.id} conflict={one} changed={patients.reload} />)}
        </section>
      )}
      {(instances.data?.items.length ?? 0) > 0 && (
        <section aria-labelledby="instances">
          <h2 id="instances">Images with two contents</h2>
          {instances.data?.items.map(one => <InstanceCard key={one.id} conflict={one} changed={instances.reload} />)}
        </section>
      )}
    </>
  );
}

const ATTRIBUTES: Record<string, [name: string, show: (value: string) => string]> = {
  birth_date: ['birth date', dicomDate],
  sex: ['sex', sex],
};

function PatientCard({ conflict, changed }: { conflict: PatientConflict; changed: () => void }) {
  const [attribute, show] = ATTRIBUTES[conflict.attribute] ?? [conflict.attribute, (value: string) => value];
  const decide = (decision: Parameters<typeof api.resolvePatientConflict>[1]) => () =>
    api.resolvePatientConflict(conflict.id, decision);
  return (
    <article className="card conflict">
      <header className="card-head">
        <div>
          <h3>Patient {conflict.patient_id}{conflict.issuer && <span className="faint"> · {conflict.issuer}</span>}</h3>
          <p className="second">Two studies contradict each other on the {attribute}. Found {moment(conflict.opened_at)}</p>
        </div>
      </header>
      <div className="versus">
        <Side label="First" value={show(conflict.kept_value)} study={conflict.kept_study_uid} />
        <Side label="Second" value={show(conflict.other_value)} study={conflict.other_study_uid} />
      </div>
      <div className="decisions">
        <Action act={decide('keep-first')} done={changed} confirm={`Same person, ${show(conflict.kept_value)} is right?`}>The first is right</Action>
        <Action act={decide('take-second')} done={changed} confirm={`Same person, ${show(conflict.other_value)} is right?`}>The second is right</Action>
        <Action act={decide('different-patients')} done={changed} confirm="Two people share this Patient ID?">Different patients</Action>
      </div>
    </article>
  );
}

function Side({ label, value, study }: { label: string; value: string; study: string | null }) {
  return (
    <div>
      <p className="second">{label}</p>
      <p className="value">{value || 'empty'}</p>
      {study && <Link href={`/studies/${study}`}>Open the study</Link>}
    </div>
  );
}

function InstanceCard({ conflict, changed }: { conflict: InstanceConflict; changed: () => void }) {
  const side = (label: string, study: string, from: string, at: string) => (
    <div>
      <p className="second">{label}</p>
      <p className="value">{source(from)}</p>
      <p className="second">{moment(at)}</p>
      <Link href={`/studies/${study}`}>Open the study</Link>
    </div>
  );
  return (
    <article className="card conflict">
      <h3>SOP Instance <Uid value={conflict.sop_instance_uid} /></h3>
      <p className="second">Two different contents claim this identifier. Both are kept; the first is shown until you decide.</p>
      <div className="versus">
        {side('First', conflict.study_uid, conflict.first_source, conflict.first_received_at)}
        {side('Second', conflict.other_study_uid, conflict.second_source, conflict.second_received_at)}
      </div>
      <div className="decisions">
        <Action act={() => api.decideInstanceConflict(conflict.id, 'keep-first')} done={changed}>Keep showing the first</Action>
        <Action act={() => api.decideInstanceConflict(conflict.id, 'serve-second')} done={changed} confirm="Show the second from now on?">Show the second</Action>
      </div>
    </article>
  );
}
