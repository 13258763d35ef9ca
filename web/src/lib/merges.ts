// Which merges made one patient of several, and who a Patient ID is.

import type { Patient, PatientMerge, PatientRef, Study } from '../api/types';

export const isSame = (one: PatientRef, other: PatientRef) => one.id === other.id && (one.issuer ?? '') === (other.issuer ?? '');

/** Of merges, those that lead to a patient, along several, and the one away from it. */
export function mergesOf(merges: PatientMerge[], patient: PatientRef): PatientMerge[] {
  const found = new Set(merges.filter(merge => isSame(merge.prior, patient)));
  const reached = [patient];
  // Grows while it is walked.
  for (const at of reached) {
    for (const merge of merges) {
      if (!isSame(merge.surviving, at) || found.has(merge)) continue;
      found.add(merge);
      reached.push(merge.prior);
    }
  }
  return merges.filter(merge => found.has(merge));
}

export interface Known {
  /** As the newest study has it. */
  patient: Patient;
  studies: number;
}

/** Who carries a Patient ID: one for each issuer. `studies`: the newest first. */
export function patientsUnder(id: string, studies: Study[]): Known[] {
  const found = new Map<string, Known>();
  // `*` and `?` are wild cards to a search, and none here.
  for (const { patient } of studies.filter(study => study.patient.id === id)) {
    const known = found.get(patient.issuer);
    if (known) known.studies += 1;
    else found.set(patient.issuer, { patient, studies: 1 });
  }
  return [...found.values()];
}

/** A Patient ID as a line of text. */
export const named = ({ id, issuer }: PatientRef): string => (issuer ? `${id} (${issuer})` : id);
