// Changes how much an organisation may keep, and how long it keeps it.

import { useState } from 'react';

import type { Settings } from '../api/access';
import { admin } from '../api/admin';
import type { RetentionRule } from '../api/types';
import { gigabytes, toBytes } from '../lib/quota';

import { Modal } from './Dialogue';
import { Choice, TextField } from './fields';

/** More rules than this are written in the configuration file. */
const RULES_MAX = 10;

interface Draft {
  modalities: string;
  since: RetentionRule['since'];
  keep: string;
  expire: string;
}

const drafted = (rule: RetentionRule): Draft => ({
  modalities: rule.modalities.join(', '), since: rule.since, keep: rule.keep_days?.toString() ?? '', expire: rule.expire_days?.toString() ?? '',
});
const number = (text: string): number | null => (text.trim() === '' ? null : Number(text));
const ruled = ({ modalities, since, keep, expire }: Draft): RetentionRule => ({
  modalities: modalities.split(/[\s,]+/).filter(Boolean).map(name => name.toUpperCase()), since, keep_days: number(keep), expire_days: number(expire),
});

export function ArchiveRules({ settings, done }: { settings: Settings; done: () => void }) {
  const [room, setRoom] = useState('');
  const [images, setImages] = useState('');
  const [resend, setResend] = useState(settings.resend);
  const [rules, setRules] = useState<Draft[]>([]);
  const opened = () => {
    setRoom(gigabytes(settings.quota_bytes));
    setImages(settings.quota_instances?.toString() ?? '');
    setResend(settings.resend);
    setRules(settings.retention.map(drafted));
  };
  if (settings.archive_configured) return <p className="hint">Quota and retention of this organisation stand in Hilum's configuration file and are changed there.</p>;
  const put = (at: number, change: Partial<Draft>) => setRules(rules.map((rule, index) => (index === at ? { ...rule, ...change } : rule)));
  return (
    <Modal open="Change quota and retention…" title="Quota and retention" submit="Save" opened={opened} done={done}
      act={() => admin.changeSettings({ quota_bytes: toBytes(room), quota_instances: number(images), resend, retention: rules.map(ruled) })}>
      <TextField label="Most room, in GB" hint="Empty: as much as there is." inputMode="decimal" pattern="[0-9]+([.][0-9]+)?" maxLength={12} value={room} change={setRoom} />
      <TextField label="Most images" hint="Empty: any number." type="number" min={0} value={images} change={setImages} />
      <Choice label="Images that come again after they were deleted" value={resend} change={setResend} options={[['refuse', 'Refuse them'], ['accept', 'Take them in']]} />
      {rules.map((rule, at) => (
        <fieldset key={at} className="rule">
          <legend>Retention rule {at + 1}</legend>
          <TextField label="Modalities" hint="Such as CT, MR. Empty: every study." maxLength={100} value={rule.modalities} change={modalities => put(at, { modalities })} />
          <Choice label="Counted from" value={rule.since} change={since => put(at, { since })} options={[['study-date', 'the study’s date'], ['reception', 'the day it came']]} />
          <TextField label="Keep for days" hint="Nobody deletes it before." type="number" min={1} value={rule.keep} change={keep => put(at, { keep })} />
          <TextField label="Delete after days" hint="Empty: never by itself." type="number" min={1} value={rule.expire} change={expire => put(at, { expire })} />
          <button type="button" className="button" onClick={() => setRules(rules.filter((_, index) => index !== at))}>Take rule {at + 1} out</button>
        </fieldset>
      ))}
      {rules.length < RULES_MAX && (
        <p><button type="button" className="button" onClick={() => setRules([...rules, { modalities: '', since: 'study-date', keep: '', expire: '' }])}>Add a retention rule</button></p>
      )}
    </Modal>
  );
}
