// How an organisation and its first account begin: by the link that the server
// printed, or by signing up where that is open.

import { useState } from 'react';

import { auth } from '../../api/auth';
import { checkSession, startAfresh } from '../../api/session';
import { PasswordField, TextField } from '../../parts/fields';
import { Link } from '../../router';

import { Gate, GateForm } from './Gate';

function useAccount() {
  const [organisation, setOrganisation] = useState('');
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const fields = (
    <>
      <TextField label="Organisation" hint="Your hospital, practice or team, as people know it." required autoComplete="organization" maxLength={100} autoFocus value={organisation} change={setOrganisation} />
      <TextField label="Your name" required autoComplete="name" maxLength={100} value={name} change={setName} />
      <TextField label="E-mail" hint="You sign in with it." type="email" required autoComplete="username" maxLength={254} value={email} change={setEmail} />
      <PasswordField label="Password" fresh value={password} change={setPassword} />
    </>
  );
  return { fields, body: () => ({ organisation: organisation.trim(), name: name.trim(), email: email.trim(), password }) };
}

export function SetUp({ token }: { token: string }) {
  const { fields, body } = useAccount();
  const act = async () => {
    await auth.setUp({ token, ...body() });
    startAfresh();
  };
  if (!token) return <NotSetUp />;
  return (
    <Gate title="Set up Hilum" lead="This makes your organisation and your account, which owns it. You invite others afterwards.">
      <GateForm submit="Set up" act={act}>{fields}</GateForm>
    </Gate>
  );
}

export function NotSetUp() {
  return (
    <Gate title="Hilum is not set up yet" lead="Open the link that Hilum printed in its terminal or log when it started. It works once, and looks like this:">
      <pre className="sample"><code>{`${location.origin}/set-up#…`}</code></pre>
      <p className="faint">It can't be found any more? Start Hilum again: it prints a new one.</p>
    </Gate>
  );
}

export function SignUp({ open }: { open: boolean }) {
  const { fields, body } = useAccount();
  const [sent, setSent] = useState('');
  const act = async () => {
    const account = body();
    await auth.signUp(account);
    setSent(account.email);
    await checkSession();
  };
  if (!open) {
    return (
      <Gate title="By invitation" lead="Accounts of this installation are made by invitation. Whoever runs Hilum in your organisation can send you one.">
        <p><Link href="/">Sign in</Link></p>
      </Gate>
    );
  }
  if (sent) return <Sent to={sent} what="a link that makes your account ready" />;
  return (
    <Gate title="Make an account" lead="It owns a new organisation. To join one that is here already, ask for an invitation.">
      <GateForm submit="Make the account" act={act}>{fields}</GateForm>
      <p className="gate-end">You have one? <Link href="/">Sign in</Link></p>
    </Gate>
  );
}

export function Sent({ to, what }: { to: string; what: string }) {
  return (
    <Gate title="Look into your mail" lead={<>If that is possible for <strong>{to}</strong>, a message with {what} is on its way. Nothing there after a few minutes? Look among unwanted mail.</>}>
      <p><Link href="/">Sign in</Link></p>
    </Gate>
  );
}
