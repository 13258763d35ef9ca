// Who looks decides which frame shows: the gate before somebody has signed in,
// the application afterwards.

import { SignedIn, checkSession, useSession } from './api/session';
import { Frame } from './Frame';
import { NotSetUp, SetUp, SignUp } from './pages/gate/Begin';
import { Gate } from './pages/gate/Gate';
import { Forgotten, Invitation, Reset, Verify } from './pages/gate/Links';
import { SignIn } from './pages/gate/SignIn';
import { Failure, Loading } from './parts';
import { routeOf, useLocation } from './router';

export function App() {
  const session = useSession();
  const { path, fragment } = useLocation();
  const route = routeOf(path, fragment);
  if (session.kind === 'asking') return <main className="gate"><Loading lines={4} label="Loading Hilum" /></main>;
  if (session.kind === 'unreachable') {
    return <Gate title="Hilum does not answer"><Failure error={session.error} retry={() => void checkSession()} /></Gate>;
  }
  const state = session.auth;
  // Links of messages open for whoever holds them, signed in or not.
  if (route.page === 'link') {
    switch (route.of) {
      case 'invitation': return <Invitation key={route.token} token={route.token} state={state} />;
      case 'reset': return <Reset token={route.token} />;
      case 'verify': return <Verify token={route.token} />;
      case 'set-up': if (state.set_up_needed || !state.signed_in) return <SetUp token={route.token} />;
    }
  }
  if (state.signed_in) return <SignedIn value={state}><Frame route={route} /></SignedIn>;
  if (state.set_up_needed) return <NotSetUp />;
  if (route.page === 'gate' && route.of === 'sign-up') return <SignUp open={state.sign_up === 'open'} />;
  if (route.page === 'gate' && route.of === 'forgotten') return <Forgotten mail={state.mail} />;
  return <SignIn state={state} />;
}
