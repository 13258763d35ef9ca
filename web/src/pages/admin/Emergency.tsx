// Emergency access that was taken, and what the review of it said.

import { useState } from 'react';

import type { BreakGlass } from '../../api/access';
import { admin } from '../../api/admin';
import { useAuth, useMay } from '../../api/session';
import { usePages } from '../../api/usePages';
import { clock, moment } from '../../lib/format';
import { Badge, Empty, Failure, Loading, useTitle } from '../../parts';
import { Modal } from '../../parts/Dialogue';
import { More } from '../../parts/More';

export function Emergency() {
  useTitle('Emergency access');
  const taken = usePages('break-glass', (after, signal) => admin.breakGlass(after, signal));
  return (
    <>
      <div className="page-head"><h1>Emergency access</h1></div>
      <p className="lead">Somebody took access that their role does not give, because a patient needed it. Each time is looked at afterwards: was it right?</p>
      {taken.error && <Failure error={taken.error} retry={taken.reload} />}
      {!taken.items && !taken.error && <Loading lines={3} />}
      {taken.items?.length === 0 && <Empty title="Nobody took emergency access"><p>When somebody does, it shows here at once.</p></Empty>}
      {taken.items?.map(one => <Access key={one.id} access={one} changed={taken.reload} />)}
      <More pages={taken} />
    </>
  );
}

function Access({ access, changed }: { access: BreakGlass; changed: () => void }) {
  const may = useMay();
  const mine = useAuth().person?.id === access.person;
  const [review, setReview] = useState('');
  const on = Date.parse(access.until) > Date.now();
  return (
    <article className="card">
      <header className="card-head">
        <div>
          <h3>{access.person_name}</h3>
          <p className="second">{moment(access.taken_at)} to {clock(access.until)} · from {access.address || 'an unknown address'}</p>
        </div>
        {access.reviewed_at ? <Badge tone="good">Reviewed</Badge> : <Badge tone={on ? 'bad' : 'warn'}>{on ? 'On now' : 'To be reviewed'}</Badge>}
      </header>
      <p className="reason">“{access.reason}”</p>
      {access.reviewed_at && <p className="second">{access.reviewed_by ?? 'Somebody'} on {moment(access.reviewed_at)}: {access.review}</p>}
      {!access.reviewed_at && mine && <p className="second">Somebody else than you reviews it.</p>}
      {!access.reviewed_at && !mine && may('review-break-glass') && (
        <Modal open="Review…" title={`Review what ${access.person_name} did`} submit="Done" disabled={!review.trim()}
          act={() => admin.review(access.id, review.trim())} done={changed}>
          <p>What they looked at stands in the audit trail. Say whether the access was right, and what follows from it. Do not name the patient.</p>
          <label className="field"><span>Your review</span><textarea required rows={4} maxLength={1000} value={review} onChange={event => setReview(event.target.value)} /></label>
        </Modal>
      )}
    </article>
  );
}
