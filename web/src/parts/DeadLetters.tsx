// What one service told and another could not take: to try again.

import { api } from '../api/client';
import { useMay } from '../api/session';
import { useResource } from '../api/useResource';
import { moment, plural } from '../lib/format';

import { Action, Badge, Failure } from '.';
import { Allowed } from './Allowed';

/** Nothing is shown while there are none. */
export function DeadLetters() {
  const may = useMay();
  const { data, error, reload } = useResource(may('view-dead-letters') ? 'dead-letters' : undefined, api.deadLetters, ['dead-letters']);
  if (error) return <Failure error={error} retry={reload} />;
  if (!data?.items.length) return null;
  return (
    <section aria-labelledby="dead-letters">
      <h2 id="dead-letters">Messages between services</h2>
      <p className="lead">One service of Hilum told another of something, which could not take it and does not try any more. The images are safe; what should have followed has not.</p>
      {data.items.map(one => (
        <article key={`${one.consumer} ${one.event_id}`} className="card">
          <header className="card-head">
            <div>
              <h3>{one.reason ?? 'No reason was given'}</h3>
              <p className="second">For {one.consumer} · {moment(one.received_at)} · {plural(one.attempts, 'attempt')}</p>
            </div>
            <Badge tone="bad">{one.kind}</Badge>
          </header>
          <p className="faint small">Event <code className="uid">{one.event_id}</code></p>
          <div className="decisions">
            <Allowed to="replay-dead-letters"><Action act={() => api.replayDeadLetter(one.consumer, one.event_id)} done={reload}>Try again</Action></Allowed>
          </div>
        </article>
      ))}
    </section>
  );
}
