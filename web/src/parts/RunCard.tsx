// One run of a model: what it is doing, or what it found and under which
// reservations.

import { api } from '../api/client';
import type { Run, Series } from '../api/types';
import { duration, measured, moment, plural, quantity, secondsBetween, step } from '../lib/format';

import { Action, Badge, Fact, Progress, type Tone, Uid } from '.';
import { Allowed } from './Allowed';

const STATES: Record<Run['state'], [Tone, string]> = {
  queued: ['busy', 'Queued'], running: ['busy', 'Running'], publishing: ['busy', 'Publishing'],
  succeeded: ['good', 'Done'], refused: ['quiet', 'Not run'], failed: ['bad', 'Failed'], superseded: ['quiet', 'Superseded'],
};

export function RunCard({ run, series, changed }: { run: Run; series: Series | undefined; changed: () => void }) {
  const [tone, label] = STATES[run.state];
  const waited = secondsBetween(run.last_slice_at, run.finished_at);
  const input = series ? [series.number === null ? '' : `Series ${series.number}`, series.description].filter(Boolean).join(' · ') : '';
  return (
    <article className={`card run ${run.state}`}>
      <header className="card-head">
        <div>
          <h3>{run.model.title}</h3>
          <p className="second">{run.model.name} {run.model.version} · on {input || 'a series'}, revision {run.input_revision}</p>
        </div>
        <Badge tone={tone}>{label}</Badge>
      </header>
      {run.not_for_clinical_use && (
        <p className="research"><strong>Research demonstration — not for clinical use.</strong> {run.intended_use}</p>
      )}
      {run.warnings.length > 0 && (
        <ul className="warnings" aria-label="Warnings">
          {run.warnings.map(warning => <li key={warning.code + warning.text}>{warning.text}</li>)}
        </ul>
      )}
      {(run.state === 'running' || run.state === 'publishing') && <Progress value={run.progress} label={step(run.step) || label} />}
      {run.reason && <p className={run.state === 'failed' ? 'reason bad-text' : 'reason'}>{run.reason}</p>}
      {run.measurements.length > 0 && (
        <dl className="measurements">
          {run.measurements.map(one => (
            <div key={`${one.segment} ${one.code}`}><dt>{measured(one)}</dt><dd>{quantity(one)}</dd></div>
          ))}
        </dl>
      )}
      <dl className="facts">
        {waited !== undefined && run.state === 'succeeded' && <Fact name="From last slice to result">{duration(waited)}</Fact>}
        {run.seconds_model !== null && <Fact name="Model time">{duration(run.seconds_model)}</Fact>}
        <Fact name={run.finished_at ? 'Finished' : 'Queued'}>{moment(run.finished_at ?? run.queued_at)}</Fact>
        {run.attempts > 1 && <Fact name="Attempts">{run.attempts}</Fact>}
      </dl>
      {run.result_instances.length > 0 && (
        <details>
          <summary>{plural(run.result_instances.length, 'result object')}: {run.result_instances.map(one => one.kind).join(', ')}</summary>
          <ul className="objects">
            {run.result_instances.map(one => (
              <li key={one.sop_instance_uid}><Badge tone="quiet">{one.kind}</Badge> <Uid value={one.sop_instance_uid} /></li>
            ))}
          </ul>
        </details>
      )}
      {(run.state === 'failed' || run.state === 'refused') && (
        <Allowed to="retry-work"><p><Action act={() => api.retryRun(run.id)} done={changed}>Run again</Action></p></Allowed>
      )}
    </article>
  );
}
