// What links in messages open: an invitation, a new password, a proved address.

import { useEffect, useRef, useState } from 'react';

import type { AuthState, Invited } from '../../api/access';
import { auth } from '../../api/auth';
import { checkSession, startAfresh } from '../../api/session';
import { ROLE, roleName } from '../../lib/roles';
import { Loading, Notice } from '../../parts';
import { PasswordField, TextField } from '../../parts/fields';
import { Link } from '../../router';

import { Sent } from './Begin';
import { Gate, GateForm } from './Gate';

export function Invitation({ token, state }: { token: string; state: AuthState }) {
  const [invited, setInvited] = useState<Invited>();
  const [problem, setProblem] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  useEffect(() => {
    auth.invitation(token).then(setInvited, (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)));
  }, [token]);
  if (problem || !token) {
    return (
      <Gate title="This invitation does not open">
        <Notice tone="warn" title={problem || 'The link is not complete.'}><p>Ask whoever invited you for another one.</p></Notice>
        <p><Link href="/">Sign in</Link></p>
      </Gate>
    );
  }
  if (!invited) return <Gate title="Your invitation"><Loading lines={3} /></Gate>;
  const itself = state.signed_in && state.person?.email.toLowerCase() === invited.email.toLowerCase();
  const act = async () => {
    await auth.accept(itself ? { token } : invited.has_account ? { token, password } : { token, name: name.trim(), password });
    startAfresh();
  };
  return (
    <Gate title={`Join ${invited.organisation}`} lead={<>{invited.invited_by} invites <strong>{invited.email}</strong> as {roleName(invited.role).toLowerCase()}. {ROLE[invited.role]?.[1]}</>}>
      {state.signed_in && state.person && !itself && <Notice tone="busy" title={`You are signed in as ${state.person.name}`}><p>Who takes the invitation is signed in instead.</p></Notice>}
      <GateForm submit="Join" act={act}>
        {!itself && !invited.has_account && <TextField label="Your name" required autoComplete="name" maxLength={100} autoFocus value={name} change={setName} />}
        {!itself && <PasswordField label={invited.has_account ? 'Password of your account' : 'Password'} fresh={!invited.has_account} value={password} change={setPassword} />}
      </GateForm>
    </Gate>
  );
}

export function Forgotten({ mail }: { mail: boolean }) {
  const [email, setEmail] = useState('');
  const [sent, setSent] = useState(false);
  if (!mail) {
    return (
      <Gate title="A new password" lead="Hilum sends no mail here, so it can't send you a link. Ask whoever runs Hilum in your organisation.">
        <p><Link href="/">Sign in</Link></p>
      </Gate>
    );
  }
  if (sent) return <Sent to={email} what="a link for a new password" />;
  return (
    <Gate title="A new password" lead="You get a link by mail. It works for half an hour.">
      <GateForm submit="Send the link" act={async () => { await auth.forgotten(email.trim()); setSent(true); }}>
        <TextField label="E-mail" type="email" required autoComplete="username" autoFocus maxLength={254} value={email} change={setEmail} />
      </GateForm>
      <p className="gate-end"><Link href="/">Sign in</Link></p>
    </Gate>
  );
}

export function Reset({ token }: { token: string }) {
  const [password, setPassword] = useState('');
  const [changed, setChanged] = useState(false);
  const act = async () => {
    await auth.reset(token, password);
    await checkSession();
    setChanged(true);
  };
  if (changed) {
    return (
      <Gate title="Your password is changed" lead="Whoever was signed in with the old one is signed out, on every machine.">
        <p><Link className="button primary large" href="/">Go on</Link></p>
      </Gate>
    );
  }
  return (
    <Gate title="Choose a new password">
      <GateForm submit="Change the password" act={act}>
        <PasswordField label="New password" fresh autoFocus value={password} change={setPassword} />
      </GateForm>
      <p className="gate-end"><Link href="/forgotten">Ask for another link</Link></p>
    </Gate>
  );
}

export function Verify({ token }: { token: string }) {
  const [state, setState] = useState<'asking' | 'proved' | 'refused'>('asking');
  const [problem, setProblem] = useState('');
  const asked = useRef('');
  useEffect(() => {
    // A token works once: it is not sent twice.
    if (asked.current === token) return;
    asked.current = token;
    auth.verify(token).then(
      () => checkSession().then(() => setState('proved')),
      (error: unknown) => {
        setProblem(error instanceof Error ? error.message : String(error));
        setState('refused');
      },
    );
  }, [token]);
  if (state === 'asking') return <Gate title="Your address"><Loading lines={2} /></Gate>;
  if (state === 'refused') {
    return (
      <Gate title="This link does not work">
        <Notice tone="warn" title={problem}><p>Sign in: another link is sent to you where one is needed, and for a new address you ask again.</p></Notice>
        <p><Link href="/">Sign in</Link></p>
      </Gate>
    );
  }
  return (
    <Gate title="Your address is proved" lead="It is yours: messages about your account go there.">
      <p><Link className="button primary large" href="/">Go on</Link></p>
    </Gate>
  );
}
