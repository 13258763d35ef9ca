// Machines that called and were turned away, to be admitted with one press.

import { useEffect } from 'react';

import type { UnknownDevice } from '../api/access';
import { admin } from '../api/admin';
import { useMay } from '../api/session';
import { useResource } from '../api/useResource';
import { moment } from '../lib/format';
import { called } from '../lib/unknown';

import { Action, Failure } from '.';

/** Nothing tells of callers: they are asked for while somebody looks. */
const ASK_MS = 4000;

export function UnknownDevices({ admitted }: { admitted: () => void }) {
  const may = useMay();
  const { data, error, reload } = useResource(may('view-devices') ? 'unknown-devices' : undefined, admin.unknownDevices, ['administration']);
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === 'visible' && reload(), ASK_MS);
    return () => clearInterval(timer);
  }, [reload]);
  if (error && !data) return <Failure error={error} retry={reload} />;
  if (!data?.items.length) return null;
  return (
    <section aria-labelledby="unknown" className="first unknown">
      <h2 id="unknown">Turned away</h2>
      {data.items.map(one => <Caller key={one.id} caller={one} manages={may('manage-devices')} changed={() => { reload(); admitted(); }} />)}
    </section>
  );
}

function Caller({ caller, manages, changed }: { caller: UnknownDevice; manages: boolean; changed: () => void }) {
  return (
    <article className="notice warn caller">
      <div>
        <p className="notice-title">{called(caller)}</p>
        <p>Last on {moment(caller.last_at)}. It was turned away each time. Do you know this machine?{!manages && ' An administrator can admit it.'}</p>
      </div>
      {manages && (
        <div className="decisions">
          <Action kind="primary" act={() => admin.admit(caller.id)} done={changed}>Admit</Action>
          <Action act={() => admin.dismiss(caller.id)} done={changed}>Dismiss</Action>
        </div>
      )}
    </article>
  );
}
