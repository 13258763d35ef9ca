// Destinations in words, and what is typed of them.

import type { DestinationKind, DestinationRule } from '../api/types';

export const WAYS: Record<DestinationKind, string> = { dicom: 'C-STORE', stow: 'STOW-RS', webhook: 'Webhook', mail: 'Mail' };

/** Which results go there, in a sentence. */
export function taken({ models, modalities, body_parts, study_description }: DestinationRule): string {
  const of = models.length > 0 ? `Results of ${models.join(', ')}` : 'Every result';
  const studies = [
    modalities.length > 0 && `with ${modalities.join(' or ')}`,
    body_parts.length > 0 && `of ${body_parts.join(' or ')}`,
    study_description && `described as ${study_description}`,
  ].filter(Boolean);
  return studies.length > 0 ? `${of}, for studies ${studies.join(', ')}` : of;
}

/** What was typed as a list, with commas between. */
export const listed = (text: string): string[] => text.split(',').map(one => one.trim()).filter(one => one !== '');
