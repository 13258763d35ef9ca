// Work that was given up, to start anew, and what waits or is being done.

import { api } from '../api/client';
import type { Job } from '../api/types';
import { useResource } from '../api/useResource';
import { moment, plural } from '../lib/format';
import { Action, Badge, Empty, Failure, Loading, useTitle } from '../parts';
import { Allowed } from '../parts/Allowed';
import { DeadLetters } from '../parts/DeadLetters';
import { Link } from '../router';

const TOPICS = ['runs', 'deliveries', 'dead-letters'] as const;
const KINDS: Readonly<Record<string, string>> = { inference: 'Run', integration: 'Delivery' };

export function Jobs() {
  useTitle('Jobs');
  const dead = useResource('jobs-dead', signal => api.jobs('dead', signal), TOPICS);
  const items = dead.data?.items ?? [];
  const again = async () => {
    for (const one of items) await api.replayJob(one.service, one.id);
  };
  return (
    <>
      <div className="page-head">
        <h1>Jobs</h1>
        {items.length > 1 && <Allowed to="replay-dead-letters"><Action act={again} done={dead.reload} confirm={`Start all ${items.length} anew?`}>Try all again</Action></Allowed>}
      </div>
      <p className="lead">What fails is tried again by itself, later and later. What was given up waits here for a person.</p>
      {dead.error && <Failure error={dead.error} retry={dead.reload} />}
      {!dead.data && !dead.error && <Loading />}
      {dead.data?.items.length === 0 && <Empty title="Nothing was given up"><p>Every run and every delivery goes on by itself.</p></Empty>}
      {items.map(one => <GivenUp key={one.id} job={one} changed={dead.reload} />)}
      <DeadLetters />
      <Going state="running" title="Being done" />
      <Going state="waiting" title="Waiting" />
    </>
  );
}

const named = (job: Job) => `${KINDS[job.service] ?? job.service}: ${job.what}`;

function GivenUp({ job, changed }: { job: Job; changed: () => void }) {
  return (
    <article className="card">
      <header className="card-head">
        <div>
          <h3>{named(job)}</h3>
          <p className="second">Since {moment(job.created_at)} · {plural(job.attempts, 'attempt')}</p>
        </div>
        <Badge tone="bad">Given up</Badge>
      </header>
      <p className="reason">{job.reason ?? 'No reason was given.'}</p>
      <div className="decisions">
        <Allowed to="replay-dead-letters"><Action act={() => api.replayJob(job.service, job.id)} done={changed}>Try again</Action></Allowed>
        {job.study_uid && <Link href={`/studies/${job.study_uid}`}>Open the study</Link>}
      </div>
    </article>
  );
}

/** Nothing is shown while there is none. */
function Going({ state, title }: { state: 'running' | 'waiting'; title: string }) {
  const { data, error, reload } = useResource(`jobs-${state}`, signal => api.jobs(state, signal), TOPICS);
  if (error) return <Failure error={error} retry={reload} />;
  if (!data?.items.length) return null;
  return (
    <section aria-labelledby={`jobs-${state}`}>
      <h2 id={`jobs-${state}`}>{title}</h2>
      <div className="sheet">
        <table className="rows">
          <thead><tr><th scope="col">Job</th><th scope="col">Since</th><th scope="col">Due</th><th scope="col">Attempts</th></tr></thead>
          <tbody>
            {data.items.map(one => (
              <tr key={one.id}>
                <td>
                  {one.study_uid ? <Link className="named" href={`/studies/${one.study_uid}`}>{named(one)}</Link> : <span className="named">{named(one)}</span>}
                  {one.reason && <span className="second">{one.reason}</span>}
                </td>
                <td data-label="Since">{moment(one.created_at)}</td>
                <td data-label="Due">{moment(one.due_at)}</td>
                <td data-label="Attempts">{one.attempts}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
