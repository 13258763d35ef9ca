// Where a study's results were sent, and what came of it.

import { api } from '../api/client';
import type { Delivery } from '../api/types';
import { moment } from '../lib/format';

import { Action, Badge, type Tone } from '.';
import { Allowed } from './Allowed';

const STATES: Record<Delivery['state'], [Tone, string]> = {
  waiting: ['busy', 'Waiting'], sending: ['busy', 'Sending'], delivered: ['good', 'Delivered'],
  held: ['warn', 'Held'], 'given-up': ['bad', 'Given up'],
};

export function Deliveries({ items, changed }: { items: Delivery[]; changed: () => void }) {
  if (items.length === 0) {
    return <p className="faint">Nothing to deliver yet. Results go to each destination of the organisation that takes them.</p>;
  }
  return (
    <ul className="deliveries">
      {items.map(one => {
        const [tone, label] = STATES[one.state];
        const next = one.state === 'waiting' && one.next_attempt_at ? ` · next attempt ${moment(one.next_attempt_at)}` : '';
        return (
          <li key={one.id} className="card delivery">
            <div>
              <strong>{one.destination}</strong> <Badge tone={tone}>{label}</Badge>
              {one.reason && <p className="reason">{one.reason}</p>}
              <p className="second">
                {one.instances_sent} of {one.instances_total} objects
                {one.attempts > 1 && ` · ${one.attempts} attempts`}
                {one.delivered_at ? ` · delivered ${moment(one.delivered_at)}` : next}
              </p>
            </div>
            {(one.state === 'held' || one.state === 'given-up') && !one.destination_removed && (
              <Allowed to="retry-work"><Action act={() => api.retryDelivery(one.id)} done={changed}>Deliver again</Action></Allowed>
            )}
          </li>
        );
      })}
    </ul>
  );
}
