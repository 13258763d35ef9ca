// One's own account: name, address, password, and where one is signed in.

import { useState } from 'react';

import { admin } from '../api/admin';
import { checkSession, useAuth } from '../api/session';
import { useResource } from '../api/useResource';
import { roleName } from '../lib/roles';
import { Action, Badge, Fact, Notice, useTitle } from '../parts';
import { Modal } from '../parts/Dialogue';
import { SessionList } from '../parts/Sessions';
import { PasswordField, TextField } from '../parts/fields';
import { useSubmit } from '../parts/useSubmit';

export function Account() {
  useTitle('Your account');
  const { person, tenant, role, mail } = useAuth();
  const account = useResource('account', admin.account, []);
  if (!person) return null;
  return (
    <div className="narrow">
      <div className="page-head"><h1>Your account</h1></div>
      <div className="card">
        <dl className="facts">
          <Fact name="E-mail">{person.email} {person.email_verified ? <Badge tone="good">Proved</Badge> : mail && <Badge tone="warn" title="Open the link in the message that was sent there">Not proved yet</Badge>}</Fact>
          {tenant && role && <Fact name="Role">{roleName(role)} of {tenant.display_name}</Fact>}
        </dl>
        {account.data?.has_password && <Address mail={mail} wanted={account.data.new_email} reload={account.reload} />}
        <Rename name={person.name} />
      </div>
      {account.data?.has_password && <section aria-labelledby="password"><h2 id="password">Password</h2><ChangePassword /></section>}
      <section aria-labelledby="sessions">
        <h2 id="sessions">Where you are signed in</h2>
        <div className="card"><SessionList name="own-sessions" load={admin.ownSessions} end={admin.endOwnSession} endOthers={admin.endOtherSessions} /></div>
      </section>
    </div>
  );
}

/** Another address: it takes the place of this one when the link that is sent there is opened. */
function Address({ mail, wanted, reload }: { mail: boolean; wanted: string | null; reload: () => void }) {
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  if (!mail) return <p className="hint">Hilum sends no mail here, so it can't check another address: ask an administrator to invite it.</p>;
  if (wanted) {
    return (
      <Notice tone="warn" title={`${wanted} is not proved yet`}>
        <p>Open the link in the message that was sent there, within two days. Until then your address stays as it is.</p>
        <p><Action act={admin.withdrawEmail} done={reload}>Keep the address that I have</Action></p>
      </Notice>
    );
  }
  const ask = () => admin.askForEmail(email.trim(), password);
  const asked = () => {
    setEmail('');
    setPassword('');
    reload();
  };
  return (
    <Modal open="Change the address…" title="Another e-mail address" submit="Send the link" act={ask} done={asked}>
      <p>A link goes to the new address. When it is opened, you sign in with that one, and are signed out everywhere else.</p>
      <TextField label="New e-mail" type="email" required autoComplete="email" maxLength={254} value={email} change={setEmail} />
      <PasswordField label="Your password" value={password} change={setPassword} />
    </Modal>
  );
}

function Rename({ name: was }: { name: string }) {
  const [name, setName] = useState(was);
  const trial = useSubmit(async () => {
    await admin.rename(name.trim());
    await checkSession();
  });
  return (
    <form className="entries" onSubmit={trial.submit}>
      <TextField label="Name" required maxLength={100} autoComplete="name" value={name} change={setName} />
      {trial.problem && <p className="problem" role="alert">{trial.problem}</p>}
      <p><button type="submit" className="button" disabled={trial.busy || name.trim() === was || !name.trim()}>Save</button></p>
    </form>
  );
}

function ChangePassword() {
  const [current, setCurrent] = useState('');
  const [fresh, setFresh] = useState('');
  const [said, setSaid] = useState('');
  const trial = useSubmit(async () => {
    setSaid('');
    await admin.changePassword(current, fresh);
    setCurrent('');
    setFresh('');
    setSaid('Your password is changed. You are signed out everywhere else.');
  });
  return (
    <form className="card entries" onSubmit={trial.submit}>
      <PasswordField label="Password now" value={current} change={setCurrent} />
      <PasswordField label="New password" fresh value={fresh} change={setFresh} />
      {trial.problem && <p className="problem" role="alert">{trial.problem}</p>}
      <p><button type="submit" className="button" disabled={trial.busy}>Change it</button> <span role="status">{said}</span></p>
    </form>
  );
}
