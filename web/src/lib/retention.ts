// Retention rules as sentences.

import type { RetentionRule } from '../api/types';

import { plural } from './format';

/** `Studies with MG: kept at least 30 years from Study Date` */
export function retention(rule: RetentionRule): string {
  const whose = rule.modalities.length === 0 ? 'Every study' : `Studies with ${rule.modalities.join(', ')}`;
  const since = rule.since === 'reception' ? 'when its last image came' : 'Study Date';
  const times = [
    rule.keep_days !== null && `kept at least ${span(rule.keep_days)}`,
    rule.expire_days !== null && `deleted after ${span(rule.expire_days)}`,
  ].filter(Boolean);
  return `${whose}: ${times.join(', ')} from ${since}`;
}

/** Days, or years where they are whole ones of 365 days. */
function span(days: number): string {
  return days > 0 && days % 365 === 0 ? plural(days / 365, 'year') : plural(days, 'day');
}
