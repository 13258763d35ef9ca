// What could not be taken in: to try again, or to remove for good.

import { api } from '../api/client';
import { useResource } from '../api/useResource';
import { bytes, moment, source } from '../lib/format';
import { Action, Badge, Empty, Failure, Loading, useTitle } from '../parts';
import { Allowed } from '../parts/Allowed';

export function Quarantine() {
  useTitle('Quarantine');
  const { data, error, reload } = useResource('quarantine', api.quarantine, ['quarantine']);
  return (
    <>
      <div className="page-head"><h1>Quarantine</h1></div>
      <p className="lead">Hilum refuses an object only when its stream is broken or it does not say which study, series and image it is. What was refused waits here.</p>
      {error && <Failure error={error} retry={reload} />}
      {!data && !error && <Loading />}
      {data?.items.length === 0 && <Empty title="Nothing in quarantine"><p>Everything that was sent was stored.</p></Empty>}
      {data?.items.map(one => (
        <article key={one.id} className="card">
          <header className="card-head">
            <div>
              <h3>{one.reason}</h3>
              <p className="second">From {source(one.source)} · {moment(one.received_at)} · {bytes(one.size)}{one.times > 1 && ` · came ${one.times} times`}</p>
            </div>
            <Badge tone="warn">{one.reason_code}</Badge>
          </header>
          <p className="faint small">SHA-256 <code className="uid">{one.sha256}</code></p>
          <Allowed to="manage-quarantine"><div className="decisions">
            <Action act={() => api.redriveQuarantined(one.id)} done={reload}>Try again</Action>
            <Action kind="danger" act={() => api.deleteQuarantined(one.id)} done={reload} confirm="Remove it for good?">Delete</Action>
          </div></Allowed>
        </article>
      ))}
    </>
  );
}
