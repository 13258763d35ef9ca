// Signing in. It shows in the place of the page that was asked for, at its
// address, and that page shows afterwards.

import { useState } from 'react';

import type { AuthState } from '../../api/access';
import { auth } from '../../api/auth';
import { checkSession, startAfresh } from '../../api/session';
import { Notice } from '../../parts';
import { PasswordField, TextField } from '../../parts/fields';
import { Link, localAddress, useLocation } from '../../router';

import { Gate, GateForm } from './Gate';

const REFUSED: Record<string, string> = {
  forbidden: 'That account belongs to nobody here. Ask whoever runs Hilum in your organisation for an invitation.',
  unavailable: 'The provider does not answer at the moment. Try again, or sign in with your password.',
};

export function SignIn({ state }: { state: AuthState }) {
  const { path, search, fragment } = useLocation();
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  // The viewer is another application: it sends people here, and says where they were.
  const sent = path === '/sign-in';
  const back = sent ? localAddress(new URLSearchParams(search).get('return_to'), location.origin) : path + (search && `?${search}`) + (fragment && `#${fragment}`);
  // How signing in with a provider ended, where it did not lead in.
  const refused = sent ? new URLSearchParams(search).get('error') : null;
  const signIn = async () => {
    await auth.signIn(email.trim(), password);
    if (sent) startAfresh(back);
    else await checkSession();
  };
  return (
    <Gate title="Sign in">
      {refused && <Notice tone="warn" title={REFUSED[refused] ?? 'Signing in with the other account did not work.'} />}
      <GateForm submit="Sign in" act={signIn}>
        <TextField label="E-mail" type="email" required autoComplete="username" autoFocus value={email} change={setEmail} maxLength={254} />
        <PasswordField label="Password" value={password} change={setPassword} />
      </GateForm>
      <p><Link href="/forgotten">I have forgotten my password</Link></p>
      {state.providers.length > 0 && (
        <div className="providers">
          <p className="or">or</p>
          {state.providers.map(one => (
            <a key={one.id} className="button large" href={auth.provider(one.id, localAddress(back, location.origin))}>Continue with {one.name}</a>
          ))}
        </div>
      )}
      {state.sign_up === 'open'
        ? <p className="gate-end">New here? <Link href="/sign-up">Make an account</Link></p>
        : <p className="gate-end faint">No account yet? Whoever runs Hilum in your organisation can invite you.</p>}
    </Gate>
  );
}
