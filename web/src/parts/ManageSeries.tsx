// What a person may change of one series: wrong attributes, or that it is there.

import { useState } from 'react';

import { api } from '../api/client';
import type { Series, StudyDetail } from '../api/types';
import { plural } from '../lib/format';
import { navigate } from '../router';

import { Dialogue } from './Dialogue';
import { MoveSeries } from './Move';

/** Left empty, these stay as they are: the page does not know what they are. */
const UNKNOWN = [
  ['BodyPartExamined', 'Body part (such as HEAD); left empty, it stays'],
  ['Laterality', 'Side (L or R); left empty, it stays'],
  ['ProtocolName', 'Protocol; left empty, it stays'],
] as const;

export function ManageSeries({ study, series, ours, only, changed }: {
  study: StudyDetail; series: Series; ours: boolean;
  /** The study has no other, and ends with it. */
  only: boolean;
  changed: () => void;
}) {
  return (
    <details>
      <summary>Manage this series</summary>
      <div className="decisions">
        {!ours && <Correct study={study.study_uid} series={series} done={changed} />}
        {!ours && <MoveSeries study={study} series={series}><Named series={series} /></MoveSeries>}
        <Dialogue kind="danger" open="Delete series…" title="Delete this series"
          act={reason => api.deleteSeries(study.study_uid, series.series_uid, reason)} done={only ? () => navigate('/') : changed}>
          <Named series={series} />
          <p>{plural(series.instance_count, 'image')} {series.instance_count === 1 ? 'is' : 'are'} removed for good, and can't be brought back. Images of the series that are sent again are refused.{only && ' The study has no other series and goes with it.'} Results that were made from it stay until they are deleted too.</p>
        </Dialogue>
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

function Correct({ study, series, done }: { study: string; series: Series; done: () => void }) {
  const [set, setSet] = useState<Record<string, string>>({});
  const put = (name: string, value: string, was: string) => {
    const { [name]: _, ...rest } = set;
    setSet(value === was ? rest : { ...rest, [name]: value });
  };
  const field = (name: string, label: string, was: string) => (
    <label key={name} className="field">
      <span>{label}</span>
      <input maxLength={200} value={set[name] ?? was} onChange={event => put(name, event.target.value, was)} />
    </label>
  );
  return (
    <Dialogue open="Correct series…" title="Correct this series" disabled={Object.keys(set).length === 0}
      act={async reason => { await api.correctSeries(study, series.series_uid, set, reason); setSet({}); }} done={done}>
      <Named series={series} />
      <p>The received images stay as they are. Everything that is shown, sent or computed from now on carries the correction, and what it replaced.</p>
      {field('SeriesDescription', 'Description', series.description)}
      {field('SeriesNumber', 'Number', series.number === null ? '' : String(series.number))}
      {field('Modality', 'Modality', series.modality)}
      {UNKNOWN.map(([name, label]) => field(name, label, ''))}
    </Dialogue>
  );
}
