// What happened to a study, the oldest first, with how long each step took.

import { Fragment } from 'react';

import { clock, day, moment, plural } from '../lib/format';
import type { Step } from '../lib/timeline';

/** More steps than this are folded away: a study of many series has three for each. */
const SHOWN = 12;

export function Timeline({ steps }: { steps: Step[] }) {
  if (steps.length === 0) return <p className="faint">Nothing yet.</p>;
  const list = (
    <ol className="timeline">
      {steps.map((step, index) => (
        <Fragment key={`${step.at} ${step.what} ${index}`}>
          {day(step.at) !== day(steps[index - 1]?.at ?? '') && <li className="day second">{day(step.at)}</li>}
          <li className={step.tone}>
            <time dateTime={step.at} title={moment(step.at)}>{clock(step.at)}</time>
            <div>
              <strong>{step.what}</strong>
              {step.details.length > 0 && <span className="second">{step.details.join(' · ')}</span>}
            </div>
          </li>
        </Fragment>
      ))}
    </ol>
  );
  return (
    <div className="card">
      {steps.length > SHOWN ? <details><summary>{plural(steps.length, 'step')}</summary>{list}</details> : list}
    </div>
  );
}
