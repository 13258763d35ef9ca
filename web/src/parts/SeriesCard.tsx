// One series, and why its input set was considered complete.

import { useState } from 'react';

import { api } from '../api/client';
import { useMay } from '../api/session';
import type { InputSet, Series, StudyDetail } from '../api/types';
import { duration, moment, plural } from '../lib/format';
import { oddity } from '../lib/oddity';

import { Action, Badge, type Tone, Uid } from '.';
import { Allowed } from './Allowed';
import { ManageSeries } from './ManageSeries';

const STATES: Record<InputSet['state'], [Tone, string]> = {
  receiving: ['busy', 'Receiving'], ready: ['good', 'Complete'], incomplete: ['warn', 'Incomplete'], superseded: ['quiet', 'Superseded'],
};

/** Objects without pixels have no picture. */
const NO_PICTURE = ['SR', 'KO', 'PR', 'SEG', 'DOC', 'PLAN', 'REG', 'RTSTRUCT', 'RTPLAN'];

export function SeriesCard({ study, series, ours, only, changed }: {
  study: StudyDetail; series: Series; ours: boolean; only: boolean; changed: () => void;
}) {
  const made = ours || series.input_sets.length === 0;
  const newestFirst = [...series.input_sets].reverse();
  return (
    <article className="card series">
      <Thumbnail study={study.study_uid} series={series} />
      <div className="series-body">
        <header className="card-head">
          <div>
            <h3>{series.number !== null && <span className="faint">{series.number} · </span>}{series.description || 'No description'}</h3>
            <p className="second">
              <span className="modality">{series.modality || '–'}</span> {plural(series.instance_count, NO_PICTURE.includes(series.modality) ? 'object' : 'image')}
            </p>
          </div>
          {made && <Badge tone="quiet">{ours ? 'Made by Hilum' : 'Result'}</Badge>}
        </header>
        {newestFirst.map(set => <InputSetLine key={set.id} set={set} changed={changed} />)}
        {series.oddities.length > 0 && (
          <details>
            <summary>{plural(series.oddities.length, 'oddity', 'oddities')} in what was received, stored as it came</summary>
            <ul className="objects">
              {series.oddities.map(({ code, instances }) => <li key={code}>{oddity(code)}: {plural(instances, 'image')}</li>)}
            </ul>
          </details>
        )}
        <ManageSeries study={study} series={series} ours={made} only={only} changed={changed} />
        <p className="faint small"><Uid value={series.series_uid} /></p>
      </div>
    </article>
  );
}

function InputSetLine({ set, changed }: { set: InputSet; changed: () => void }) {
  const [tone, label] = STATES[set.state];
  const waiting = set.state === 'receiving'
    ? `${plural(set.instance_count, 'image')} so far. Complete once the sender is done and nothing more comes${set.quiet_seconds ? ` for ${duration(set.quiet_seconds)}` : ''}.`
    : '';
  return (
    <div className={`input-set ${set.state}`}>
      <p>
        <Badge tone={tone}>{label}</Badge> <span className="faint">Revision {set.revision} · {plural(set.instance_count, 'image')}</span>
      </p>
      {(set.reason || waiting) && <p className="reason">{set.reason || waiting}</p>}
      <p className="second">
        First image {moment(set.opened_at)} · last {moment(set.last_instance_at)}
        {set.ready_at && <> · complete {moment(set.ready_at)}</>}
        {set.quiet_seconds ? <> · quiet time {duration(set.quiet_seconds)}</> : null}
      </p>
      {set.state === 'incomplete' && (
        <Allowed to="accept-input">
          <p><Action kind="primary" act={() => api.acceptInputSet(set.id)} done={changed} confirm="Run the models on these images only?">Accept as it is</Action></p>
        </Allowed>
      )}
    </div>
  );
}

function Thumbnail({ study, series }: { study: string; series: Series }) {
  const [broken, setBroken] = useState(false);
  const may = useMay();
  if (broken || !may('retrieve-images') || NO_PICTURE.includes(series.modality)) {
    return <div className="thumbnail none" aria-hidden="true">{series.modality || '–'}</div>;
  }
  const address = `/dicomweb/studies/${study}/series/${series.series_uid}/thumbnail`;
  return <img className="thumbnail" src={address} alt="" width={96} height={96} loading="lazy" onError={() => setBroken(true)} />;
}
