import type { Run } from '../api/types';

import { currentRuns } from './worklist';

/** The viewer's address for a study. It opens on a model's segmentation, over the
 *  images it was made from, or on the first series when there is none. */
export function viewerAddress(studyUid: string, runs: Run[] = []): string {
  const params = new URLSearchParams({ StudyInstanceUIDs: studyUid });
  const results = currentRuns(runs).flatMap(run => run.result_instances);
  const segmentation = results.find(result => result.kind === 'SEG');
  if (segmentation) params.set('initialSeriesInstanceUID', segmentation.series_uid);
  return `/viewer/viewer?${params}`;
}
