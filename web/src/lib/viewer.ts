import type { Run } from '../api/types';

import { currentRuns } from './worklist';

/** The viewer's address for a study, opening on the series that a model
 *  segmented, or on the study's first when there is no result. */
export function viewerAddress(studyUid: string, runs: Run[] = []): string {
  const params = new URLSearchParams({ StudyInstanceUIDs: studyUid });
  const run = currentRuns(runs).find(one => one.result_instances.some(result => result.kind === 'SEG'));
  if (run) params.set('initialSeriesInstanceUID', run.series_uid);
  return `/viewer/viewer?${params}`;
}
