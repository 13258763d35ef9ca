// Where results are sent, and which.

import { useState } from 'react';

import { type DestinationChange, type DestinationWanted, admin } from '../../api/admin';
import { api } from '../../api/client';
import type { Destination, DestinationKind } from '../../api/types';
import { useResource } from '../../api/useResource';
import { WAYS, listed, taken } from '../../lib/destination';
import { moment, plural } from '../../lib/format';
import { Action, Badge, Empty, Failure, Loading, Notice, useTitle } from '../../parts';
import { Modal } from '../../parts/Dialogue';
import { SecretOnce } from '../../parts/SecretOnce';
import { Choice, PasswordField, TextField } from '../../parts/fields';

const KINDS: readonly (readonly [DestinationKind, string])[] = [
  ['dicom', 'PACS or other DICOM node (C-STORE)'],
  ['stow', 'DICOMweb server (STOW-RS)'],
  ['webhook', 'Program that is told (webhook)'],
  ['mail', 'People, by mail'],
];

const ADDRESS: Record<DestinationKind, readonly [label: string, hint: string]> = {
  dicom: ['Host and port', 'Such as pacs.example.org:104.'],
  stow: ['Address of its DICOMweb', 'Such as https://pacs.example.org/dicom-web.'],
  webhook: ['Address', 'Such as https://ris.example.org/hooks/hilum. It is told which results there are, and nothing of the patient.'],
  mail: ['E-mail', 'Who is told where to look. The mail names no patient.'],
};

type Told = { secret: string; name: string };

export function Destinations() {
  useTitle('Destinations');
  const { data, error, reload } = useResource('destinations', api.destinations, ['administration', 'deliveries']);
  const [told, setTold] = useState<Told>();
  return (
    <>
      <div className="page-head">
        <h1>Destinations</h1>
        <Edit open="Add a destination…" title="Add a destination" act={wanted => admin.addDestination(wanted)}
          done={made => { if (made.secret) setTold({ secret: made.secret, name: made.name }); reload(); }} />
      </div>
      <p className="lead">Where results of models are sent by themselves: to a PACS, to another server or program, or to people. A destination that does not answer is tried again for two days, and gets everything in order.</p>
      {told && (
        <SecretOnce secret={told.secret} what="secret" done={() => setTold(undefined)}>
          <p>{told.name} verifies with it that a message is from here, as <a href="https://www.standardwebhooks.com" rel="noreferrer">Standard Webhooks</a> describes.</p>
        </SecretOnce>
      )}
      {error && <Failure error={error} retry={reload} />}
      {!data && !error && <Loading lines={3} />}
      {data?.items.length === 0 && <Empty title="No destination yet"><p>Results stay here, and are seen here. Add the PACS that they should go to.</p></Empty>}
      {data && data.items.length > 0 && (
        <ul className="destinations">
          {data.items.map(one => <Item key={one.id} one={one} changed={reload} told={secret => setTold({ secret, name: one.name })} />)}
        </ul>
      )}
    </>
  );
}

function Item({ one, changed, told }: { one: Destination; changed: () => void; told: (secret: string) => void }) {
  const [tested, setTested] = useState<{ reached: boolean; message: string }>();
  return (
    <li className="card" aria-label={one.name}>
      <div className="card-head">
        <h2>{one.name}</h2>
        {one.paused && <Badge tone="warn">Paused</Badge>}
        {one.configured && <Badge tone="quiet" title="Named in the configuration file, and changed there">From the configuration</Badge>}
        {one.waiting > 0 && <Badge tone="busy">{plural(one.waiting, 'waits', 'wait')}</Badge>}
      </div>
      <p className="second">{WAYS[one.kind]}{one.ae_title && ` · ${one.ae_title}`} · {one.address}{one.tls && ' · TLS'}</p>
      <p className="second">{taken(one)}</p>
      {one.former_secret_until && <p className="second">Signed with the former secret, too, until {moment(one.former_secret_until)}</p>}
      {tested && <Notice tone={tested.reached ? 'good' : 'bad'} title={tested.reached ? 'It can be reached' : 'It can’t be reached'}><p>{tested.message}</p></Notice>}
      <div className="decisions">
        <Action act={async () => setTested(await admin.testDestination(one.id))} done={() => {}}>Test</Action>
        {!one.configured && (
          <>
            <Action act={() => admin.changeDestination(one.id, { paused: !one.paused })} done={changed}>{one.paused ? 'Resume' : 'Pause'}</Action>
            <Edit open="Change…" title={`Change ${one.name}`} destination={one} act={({ kind: _, ...change }) => admin.changeDestination(one.id, change)} done={() => { setTested(undefined); changed(); }} />
            {one.kind === 'webhook' && (
              <Modal open="New secret…" title={`New secret for ${one.name}`} submit="Make it" act={() => admin.renewSecret(one.id)} done={made => { told(made.secret); changed(); }}>
                <p>Messages bear signatures by both secrets for a day, so that there is time to change it over there.</p>
              </Modal>
            )}
            <Modal kind="danger" open="Remove…" title={`Remove ${one.name}`} submit="Remove" act={() => admin.removeDestination(one.id)} done={changed}>
              <p>{one.waiting > 0 ? `${plural(one.waiting, 'delivery', 'deliveries')} that it waits for will be given up. ` : ''}What it has received stays there.</p>
            </Modal>
          </>
        )}
      </div>
    </li>
  );
}

const first = (one?: Destination) => ({
  name: one?.name ?? '', address: one?.address ?? '', ae: one?.ae_title ?? '', calling: one?.calling_ae_title ?? '', user: one?.user ?? '', secret: '',
  authorities: '', models: one?.models.join(', ') ?? '', modalities: one?.modalities.join(', ') ?? '', parts: one?.body_parts.join(', ') ?? '',
  description: one?.study_description ?? '',
});

function Edit<T>({ open, title, destination, act, done }: {
  open: string; title: string; destination?: Destination; act: (wanted: DestinationWanted) => Promise<T>; done: (made: T) => void;
}) {
  const [kind, setKind] = useState<DestinationKind>(destination?.kind ?? 'dicom');
  const [set, setSet] = useState(() => first(destination));
  const [tls, setTls] = useState(destination?.tls ?? false);
  const put = (name: keyof typeof set) => (value: string) => setSet({ ...set, [name]: value });
  const opened = () => {
    setSet(first(destination));
    setTls(destination?.tls ?? false);
    if (!destination) setKind('dicom');
  };
  const wanted = (): DestinationWanted => {
    const all: DestinationWanted = {
      name: set.name.trim(), kind, address: set.address.trim(), models: listed(set.models), modalities: listed(set.modalities),
      body_parts: listed(set.parts), study_description: set.description.trim() || null,
    };
    const node: DestinationChange = { ae_title: set.ae.trim(), tls, ...(set.calling.trim() && { calling_ae_title: set.calling.trim() }) };
    const server: DestinationChange = { user: set.user.trim() || null, ...(set.secret && { secret: set.secret }) };
    // Without TLS there is nobody to vouch for.
    const authorities = kind === 'dicom' && !tls ? (destination?.has_authorities ? { authorities: null } : {}) : set.authorities.trim() ? { authorities: set.authorities.trim() } : {};
    return { ...all, ...(kind === 'dicom' && node), ...(kind === 'stow' && server), ...authorities };
  };
  const [label, hint] = ADDRESS[kind];
  return (
    <Modal open={open} title={title} submit={destination ? 'Save' : 'Add'} opened={opened} act={() => act(wanted())} done={done} kind={destination ? '' : 'primary'}>
      {!destination && <Choice label="What is it?" value={kind} change={setKind} options={KINDS} />}
      <TextField label="Name" hint="As people know it." required maxLength={64} autoComplete="off" value={set.name} change={put('name')} />
      <TextField label={label} hint={hint} required maxLength={500} autoComplete="off" spellCheck={false} value={set.address} change={put('address')} />
      {kind === 'dicom' && (
        <>
          <TextField label="AE title" hint="As its own settings say. Capitals matter." required maxLength={16} autoComplete="off" spellCheck={false} value={set.ae} change={put('ae')} />
          <label className="tick"><input type="checkbox" checked={tls} onChange={event => setTls(event.target.checked)} />Over TLS</label>
        </>
      )}
      {kind === 'stow' && (
        <>
          <TextField label="User" hint="Empty: it is shown a token." maxLength={200} autoComplete="off" spellCheck={false} value={set.user} change={put('user')} />
          <PasswordField label={set.user.trim() ? 'Password' : 'Token'} required={false} autoComplete="off" maxLength={8192} value={set.secret} change={put('secret')} />
          {destination?.has_secret && <p className="hint">Empty: the one that it has stays.</p>}
        </>
      )}
      <details>
        <summary>Which results</summary>
        <div className="entries">
          <TextField label="Models" hint="With commas between. Empty: every model’s." maxLength={2000} autoComplete="off" spellCheck={false} value={set.models} change={put('models')} />
          <TextField label="Modalities of the study" hint="Such as MR, CT. Empty: any." maxLength={500} autoComplete="off" spellCheck={false} value={set.modalities} change={put('modalities')} />
          <TextField label="Body parts" hint="As the images name them, such as HEAD. Empty: any." maxLength={500} autoComplete="off" spellCheck={false} value={set.parts} change={put('parts')} />
          <TextField label="Study description" hint="* stands for any text, ? for one character: *stroke*. Empty: any." maxLength={64} autoComplete="off" spellCheck={false} value={set.description} change={put('description')} />
        </div>
      </details>
      {kind !== 'mail' && (
        <details>
          <summary>More</summary>
          <div className="entries">
            {kind === 'dicom' && <TextField label="Our AE title" hint="What Hilum calls itself there. Empty: HILUM." maxLength={16} autoComplete="off" spellCheck={false} value={set.calling} change={put('calling')} />}
            {(kind !== 'dicom' || tls) && (
              <label className="field">
                <span>Authorities of its certificate (PEM){destination?.has_authorities && ', in place of those that it has'}</span>
                <textarea rows={4} maxLength={32768} spellCheck={false} value={set.authorities} onChange={event => put('authorities')(event.target.value)} />
              </label>
            )}
          </div>
        </details>
      )}
    </Modal>
  );
}
