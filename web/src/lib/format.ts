// Turns what the API says into what people read. Unknown stays unknown: a value
// that is not understood is shown as it came.

import type { Measurement } from '../api/types';

const dayFormat = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: '2-digit', timeZone: 'UTC' });
const localDayFormat = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: '2-digit' });
const clockFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const momentFormat = new Intl.DateTimeFormat(undefined, {
  year: 'numeric', month: 'short', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
});
const number = new Intl.NumberFormat();

/** A DICOM date (PS3.5 §6.2, DA). */
export function dicomDate(text: string): string {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})$/.exec(text) ?? [];
  if (!year || !month || !day) return text;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  // 20240231 is no day: shown as it came.
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day) ? dayFormat.format(date) : text;
}

/** A DICOM time (PS3.5 §6.2, TM), to the minute. */
export function dicomTime(text: string): string {
  const [, hour, minute] = /^(\d{2})(\d{2})/.exec(text) ?? [];
  return hour && minute ? `${hour}:${minute}` : '';
}

/** The day of a moment, where the person is. */
export function day(text: string): string {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : localDayFormat.format(date);
}

export function moment(text: string): string {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : momentFormat.format(date);
}

export function clock(text: string): string {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : clockFormat.format(date);
}

/** How long ago, coarsely; later than `now` counts as now. */
export function ago(text: string, now: number): string {
  const then = Date.parse(text);
  if (Number.isNaN(then)) return text;
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 45) return 'just now';
  if (seconds < 90 * 60) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 90) return `${minutes} min ${String(Math.round(seconds - minutes * 60)).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** Seconds from one moment to another; undefined when either is unknown. */
export function secondsBetween(from: string | null | undefined, to: string | null | undefined): number | undefined {
  if (!from || !to) return undefined;
  const seconds = (Date.parse(to) - Date.parse(from)) / 1000;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export const count = (value: number): string => number.format(value);

export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

/** A person's age in whole years on a day, both DICOM dates. */
export function age(birth: string, on: string): number | undefined {
  if (!/^\d{8}$/.test(birth) || !/^\d{8}$/.test(on)) return undefined;
  const years = Number(on.slice(0, 4)) - Number(birth.slice(0, 4)) - (on.slice(4) < birth.slice(4) ? 1 : 0);
  return years >= 0 && years < 150 ? years : undefined;
}

/** Patient's Sex (0010,0040); anything else as it came. */
export function sex(code: string): string {
  return { F: 'Female', M: 'Male', O: 'Other' }[code] ?? code;
}

const UCUM: Record<string, string> = { cm3: 'cm³', mm3: 'mm³', mm2: 'mm²', cm2: 'cm²', '%': '%', '1': '', '[hnsf\'U]': 'HU' };

export function unit(ucum: string): string {
  return UCUM[ucum] ?? ucum;
}

/** The value with its unit: `1292.5 cm³`. */
export function quantity({ value, unit: ucum }: Pick<Measurement, 'value' | 'unit'>): string {
  const shown = Math.abs(value) >= 0.1 || value === 0 ? value.toFixed(1) : value.toPrecision(2);
  return `${shown} ${unit(ucum)}`.trim();
}

/** What was measured of what: `Brain volume`. */
export function measured({ segment, meaning }: Pick<Measurement, 'segment' | 'meaning'>): string {
  if (!segment || meaning.toLowerCase().includes(segment.toLowerCase())) return meaning;
  return `${segment} ${meaning.charAt(0).toLowerCase()}${meaning.slice(1)}`;
}

/** A pipeline's step: a model's own words, as a sentence begins. */
export function step(name: string | null): string {
  if (!name) return '';
  const known: Record<string, string> = { read: 'Reading images', network: 'Running the network', 'write results': 'Writing results' };
  return known[name] ?? `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

/** `dimse:SCANNER1` and its like, for people. */
export function source(text: string): string {
  if (text.startsWith('dimse:')) return text.slice(6) || 'DICOM';
  return { stow: 'DICOMweb', import: 'Import', hilum: 'Hilum' }[text] ?? text;
}
