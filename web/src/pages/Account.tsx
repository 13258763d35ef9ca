// One's own account: name, password, and where one is signed in.

import { useState } from 'react';

import { admin } from '../api/admin';
import { checkSession, useAuth } from '../api/session';
import { useResource } from '../api/useResource';
import { roleName } from '../lib/roles';
import { Badge, Fact, useTitle } from '../parts';
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
