// Where somebody is signed in.

import type { Session } from '../api/access';
import type { Page } from '../api/types';
import { useResource } from '../api/useResource';
import { browser } from '../lib/browser';
import { moment } from '../lib/format';

import { Action, Badge, Failure, Loading } from '.';

export function SessionList({ name, load, end, endOthers }: {
  name: string; load: (signal: AbortSignal) => Promise<Page<Session>>;
  /** Ends one of them. */
  end?: (session: string) => Promise<unknown>;
  /** Ends all but this one. */
  endOthers?: () => Promise<unknown>;
}) {
  const { data, error, reload } = useResource(name, load, []);
  if (error && !data) return <Failure error={error} retry={reload} />;
  if (!data) return <Loading lines={2} />;
  if (data.items.length === 0) return <p className="faint">Nowhere at the moment.</p>;
  return (
    <>
      <ul className="lines">
        {data.items.map(one => (
          <li key={one.id}>
            <div>
              <span className="named">{browser(one.browser)}</span>{one.current && <> <Badge tone="good">This one</Badge></>}
              <span className="second">From {one.address || 'an unknown address'} · since {moment(one.created_at)} · last used {moment(one.seen_at)}</span>
            </div>
            {end && !one.current && <Action act={() => end(one.id)} done={reload}>Sign out</Action>}
          </li>
        ))}
      </ul>
      {endOthers && data.items.length > 1 && <p className="after"><Action act={endOthers} done={reload}>Sign out everywhere else</Action></p>}
    </>
  );
}
