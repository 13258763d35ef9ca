// What the organisation decides for itself.

import { useState } from 'react';

import type { Provider, Settings } from '../../api/access';
import { admin } from '../../api/admin';
import { checkSession, useAuth, useMay } from '../../api/session';
import { useResource } from '../../api/useResource';
import { Action, Fact, Failure, Loading, useTitle } from '../../parts';
import { Modal } from '../../parts/Dialogue';
import { Leaving } from '../../parts/Leaving';
import { Choice, PasswordField, TextField } from '../../parts/fields';
import { useSubmit } from '../../parts/useSubmit';

export function SettingsPage() {
  useTitle('Settings');
  const { data, error, reload } = useResource('settings', admin.settings, []);
  const { tenant } = useAuth();
  const may = useMay();
  return (
    <>
      <div className="page-head"><h1>Settings</h1></div>
      {error && <Failure error={error} retry={reload} />}
      {!data && !error && <Loading lines={4} />}
      {data && <Form settings={data} aeTitle={tenant?.ae_title ?? ''} saved={() => { reload(); void checkSession(); }} />}
      <Providers />
      {tenant && may('end-tenant') && <Leaving tenant={tenant.name} name={tenant.display_name} />}
    </>
  );
}

const whole = (text: string): number | null => (text.trim() === '' ? null : Number(text));

function Form({ settings, aeTitle, saved }: { settings: Settings; aeTitle: string; saved: () => void }) {
  const may = useMay();
  const [name, setName] = useState(settings.display_name);
  const [idle, setIdle] = useState(settings.session_idle_minutes?.toString() ?? '');
  const [hours, setHours] = useState(settings.session_hours?.toString() ?? '');
  const [unknown, setUnknown] = useState(settings.unknown_devices ?? '');
  const [rate, setRate] = useState(settings.requests_per_minute?.toString() ?? '');
  const [said, setSaid] = useState('');
  const trial = useSubmit(async () => {
    setSaid('');
    await admin.changeSettings({
      display_name: name.trim(), session_idle_minutes: whole(idle), session_hours: whole(hours),
      unknown_devices: (unknown || null) as Settings['unknown_devices'], requests_per_minute: whole(rate),
    });
    setSaid('Saved');
    saved();
  });
  return (
    <form onSubmit={trial.submit}>
      <fieldset className="card entries plain" disabled={!may('manage-settings')}>
        <TextField label="Name of the organisation" required maxLength={100} autoComplete="off" value={name} change={setName} />
        <dl className="facts"><Fact name="AE title, to which devices send">{aeTitle}</Fact></dl>
        <TextField label="Sign out after minutes without use" hint="5 to 720. Empty: 12 hours." type="number" min={5} max={720} value={idle} change={setIdle} />
        <TextField label="Sign out after hours in any case" hint="1 to 168. Empty: 7 days." type="number" min={1} max={168} value={hours} change={setHours} />
        <Choice label="Devices that are not known" value={unknown} change={setUnknown}
          hint="Whatever is chosen, a device is never let in from another organisation's address."
          options={[['', 'As the installation says'], ['reject', 'Turn away, and show under Devices'], ['admit-from-loopback', 'The same, but take what comes from this machine itself']]} />
        <TextField label="Requests per minute, of one person or program" hint="At least 60. Empty: as the installation says." type="number" min={60} max={1000000} value={rate} change={setRate} />
        {trial.problem && <p className="problem" role="alert">{trial.problem}</p>}
        {may('manage-settings') && <p><button type="submit" className="button primary" disabled={trial.busy}>Save</button> <span role="status">{said}</span></p>}
      </fieldset>
    </form>
  );
}

function Providers() {
  const may = useMay();
  const { data, error, reload } = useResource('providers', admin.providers, []);
  return (
    <section aria-labelledby="providers">
      <h2 id="providers">Signing in with another account</h2>
      <p className="lead">People can sign in with their account of your organisation, such as Google or Microsoft, by OpenID Connect. Who they may be here is still decided under People.</p>
      {error && <Failure error={error} retry={reload} />}
      {data && data.items.length > 0 && (
        <ul className="card lines">
          {data.items.map((one: Provider) => (
            <li key={one.id}>
              <div><span className="named">{one.name}</span><span className="second">{one.issuer} · client {one.client_id}</span></div>
              {may('manage-settings') && <Action kind="danger" act={() => admin.removeProvider(one.id)} done={reload} confirm={`Let nobody sign in with ${one.name} any more?`}>Remove</Action>}
            </li>
          ))}
        </ul>
      )}
      {data?.items.length === 0 && <p className="faint">Nobody does yet: people sign in with e-mail and password.</p>}
      {may('manage-settings') && <AddProvider redirect={data?.redirect_uri || `${location.origin}/auth/oidc/callback`} done={reload} />}
    </section>
  );
}

function AddProvider({ redirect, done }: { redirect: string; done: () => void }) {
  const [name, setName] = useState('');
  const [issuer, setIssuer] = useState('');
  const [client, setClient] = useState('');
  const [secret, setSecret] = useState('');
  return (
    <p className="after">
      <Modal open="Add a provider…" title="Add a sign-in provider" submit="Add"
        act={() => admin.addProvider({ name: name.trim(), issuer: issuer.trim(), client_id: client.trim(), client_secret: secret })}
        done={() => { setSecret(''); done(); }}>
        <p>At the provider, make an application of the kind “web” with this address to return to:</p>
        <pre className="sample"><code>{redirect}</code></pre>
        <TextField label="Name" hint="As it stands on the button, such as Google." required maxLength={100} autoComplete="off" value={name} change={setName} />
        <TextField label="Issuer" hint="Such as https://accounts.google.com" type="url" required maxLength={300} autoComplete="off" value={issuer} change={setIssuer} />
        <TextField label="Client ID" required maxLength={300} autoComplete="off" value={client} change={setClient} />
        <PasswordField label="Client secret" autoComplete="off" value={secret} change={setSecret} />
      </Modal>
    </p>
  );
}
