// Asks what the attributes of a study or a series should have been.

import { type ReactNode, useState } from 'react';

import { Dialogue } from './Dialogue';

/** DICOM keyword, what a person reads, and what stands there now. */
export type Field = readonly [keyword: string, label: string, was: string];

export function Correct({ open, title, fields, act, done, children }: {
  open: string;
  title: string;
  fields: readonly Field[];
  act: (set: Record<string, string>, reason: string) => Promise<unknown>;
  done: () => void;
  /** Which one it is about. */
  children?: ReactNode;
}) {
  const [set, setSet] = useState<Record<string, string>>({});
  const put = (keyword: string, value: string, was: string) => {
    const { [keyword]: _, ...rest } = set;
    setSet(value === was ? rest : { ...rest, [keyword]: value });
  };
  return (
    <Dialogue open={open} title={title} disabled={Object.keys(set).length === 0}
      act={async reason => { await act(set, reason); setSet({}); }} done={done}>
      {children}
      <p>The received images stay as they are. Everything that is shown, sent or computed from now on carries the correction, and what it replaced.</p>
      {fields.map(([keyword, label, was]) => (
        <label key={keyword} className="field">
          <span>{label}</span>
          <input maxLength={200} value={set[keyword] ?? was} onChange={event => put(keyword, event.target.value, was)} />
        </label>
      ))}
    </Dialogue>
  );
}
