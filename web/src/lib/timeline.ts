// What happened to a study and when, from its input sets, runs and deliveries.

import type { Delivery, InputSet, Run, Series, StudyDetail } from '../api/types';

import { duration, plural, secondsBetween } from './format';

export interface Step {
  at: string;
  what: string;
  /** How long it took, and why; each a sentence or less. */
  details: string[];
  tone: 'quiet' | 'good' | 'warn' | 'bad';
}

/** The oldest first. Times that are unknown have no step. */
export function timeline(study: StudyDetail, runs: Run[], deliveries: Delivery[]): Step[] {
  const steps = [
    ...study.series.flatMap(series => series.input_sets.flatMap(set => received(series, set))),
    ...runs.flatMap(ran),
    ...deliveries.flatMap(delivered),
  ];
  return steps
    .filter(step => !Number.isNaN(Date.parse(step.at)))
    .sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

/** Shorter than this is not worth a word, s. */
const AT_ONCE = 0.1;

const took = (text: (time: string) => string, from: string | null, to: string | null): string[] => {
  const seconds = secondsBetween(from, to);
  return seconds === undefined || seconds < AT_ONCE ? [] : [text(duration(seconds))];
};

function received(series: Series, set: InputSet): Step[] {
  const name = series.description || (series.number === null ? 'a series' : `series ${series.number}`);
  const first = set.revision > 1 ? `More images of ${name}` : `First image of ${name}`;
  const steps: Step[] = [{ at: set.opened_at, what: first, details: [], tone: 'quiet' }];
  if (set.state !== 'receiving') {
    const incomplete = set.state === 'incomplete';
    steps.push({
      at: set.last_instance_at,
      what: `Last image of ${name}`,
      details: [
        `${plural(set.instance_count, 'image')} in all`,
        ...took(time => `received within ${time}`, set.opened_at, set.last_instance_at),
        ...(incomplete && set.reason ? [set.reason] : []),
      ],
      tone: incomplete ? 'warn' : 'quiet',
    });
  }
  if (set.ready_at) {
    steps.push({
      at: set.ready_at,
      what: `${name} complete`,
      details: [...took(time => `${time} after the last image`, set.last_instance_at, set.ready_at), set.reason ?? ''].filter(Boolean),
      tone: 'good',
    });
  }
  return steps;
}

const ENDS: Partial<Record<Run['state'], [what: string, tone: Step['tone']]>> = {
  succeeded: ['Result of', 'good'], refused: ['Not run:', 'warn'], failed: ['Failed:', 'bad'], superseded: ['Superseded:', 'quiet'],
};

function ran(run: Run): Step[] {
  const { title } = run.model;
  const steps: Step[] = [];
  if (run.started_at) {
    steps.push({ at: run.started_at, what: `${title} started`, details: took(time => `waited ${time}`, run.queued_at, run.started_at), tone: 'quiet' });
  } else {
    steps.push({ at: run.queued_at, what: `${title} queued`, details: [], tone: 'quiet' });
  }
  const [what, tone] = ENDS[run.state] ?? [];
  if (run.finished_at && what && tone) {
    const times = run.state === 'succeeded'
      ? [...took(time => `ran ${time}`, run.started_at, run.finished_at),
        ...took(time => `${time} after the last image`, run.last_slice_at, run.finished_at)]
      : [];
    steps.push({ at: run.finished_at, what: `${what} ${title}`, details: [...times, run.reason ?? ''].filter(Boolean), tone });
  }
  return steps;
}

function delivered(delivery: Delivery): Step[] {
  if (!delivery.delivered_at) return [];
  return [{
    at: delivery.delivered_at,
    what: `Delivered to ${delivery.destination}`,
    details: [plural(delivery.instances_sent, 'object'), ...took(time => `${time} after the result`, delivery.created_at, delivery.delivered_at)],
    tone: 'good',
  }];
}

/** The series whose newest revision is in this state. */
export function seriesIn(study: StudyDetail, state: InputSet['state']): Series[] {
  return study.series.filter(series => series.input_sets.at(-1)?.state === state);
}
