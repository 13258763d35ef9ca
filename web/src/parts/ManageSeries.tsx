// What a person may change of one series: wrong attributes, or that it is there.

import { api } from '../api/client';
import { useMay } from '../api/session';
import type { Series, StudyDetail } from '../api/types';
import { plural } from '../lib/format';
import { navigate } from '../router';

import { Correct, type Field } from './Correct';
import { Dialogue } from './Dialogue';
import { MoveSeries } from './Move';

export function ManageSeries({ study, series, ours, only, changed }: {
  study: StudyDetail; series: Series; ours: boolean;
  /** The study has no other, and ends with it. */
  only: boolean;
  changed: () => void;
}) {
  const may = useMay();
  const corrects = may('correct-studies');
  const deletes = may('delete-images');
  if (!deletes && (ours || !corrects)) return null;
  return (
    <details>
      <summary>Manage this series</summary>
      <div className="decisions">
        {!ours && corrects && (
          <Correct open="Correct series…" title="Correct this series" fields={fields(series)} done={changed}
            act={(set, reason) => api.correctSeries(study.study_uid, series.series_uid, set, reason)}>
            <Named series={series} />
          </Correct>
        )}
        {!ours && corrects && <MoveSeries study={study} series={series}><Named series={series} /></MoveSeries>}
        {deletes && <Dialogue kind="danger" open="Delete series…" title="Delete this series"
          act={reason => api.deleteSeries(study.study_uid, series.series_uid, reason)} done={only ? () => navigate('/') : changed}>
          <Named series={series} />
          <p>{plural(series.instance_count, 'image')} {series.instance_count === 1 ? 'is' : 'are'} removed for good, and can't be brought back. Images of the series that are sent again are refused.{only && ' The study has no other series and goes with it.'} Results that were made from it stay until they are deleted too.</p>
        </Dialogue>}
      </div>
    </details>
  );
}

/** Which series it is about: the page behind a dialogue can't be read. */
function Named({ series }: { series: Series }) {
  return (
    <p className="named">
      <span className="modality">{series.modality || '–'}</span>
      {series.number !== null && <>{series.number} · </>}{series.description || 'No description'}
    </p>
  );
}

function fields(series: Series): Field[] {
  return [
    ['SeriesDescription', 'Description', series.description],
    ['SeriesNumber', 'Number', series.number === null ? '' : String(series.number)],
    ['Modality', 'Modality', series.modality],
    // Left empty, these stay as they are: the page does not know what they are.
    ['BodyPartExamined', 'Body part (such as HEAD); left empty, it stays', ''],
    ['Laterality', 'Side (L or R); left empty, it stays', ''],
    ['ProtocolName', 'Protocol; left empty, it stays', ''],
  ];
}
