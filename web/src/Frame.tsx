// The frame around every page of who is signed in: navigation, the live-update
// indicator, the person's menu, the page.

import { useEffect } from 'react';

import type { Action } from './api/access';
import { admin } from './api/admin';
import { api } from './api/client';
import { useChanges, useConnection } from './api/live';
import { checkSession, startAfresh, useMay } from './api/session';
import { useResource } from './api/useResource';
import { Account } from './pages/Account';
import { Administration, adminPages } from './pages/admin/Administration';
import { Conflicts } from './pages/Conflicts';
import { Jobs } from './pages/Jobs';
import { Models } from './pages/Models';
import { Quarantine } from './pages/Quarantine';
import { Status } from './pages/Status';
import { StudyPage } from './pages/Study';
import { Worklist } from './pages/Worklist';
import { Empty, useTitle } from './parts';
import { EmergencyBar } from './parts/Emergency';
import { Mark } from './parts/Mark';
import { NotAllowed } from './parts/NotAllowed';
import { PersonMenu } from './parts/PersonMenu';
import { useCurrentInView } from './parts/useCurrentInView';
import { Link, type Route, localAddress, navigate, useLocation } from './router';

const TABS: readonly (readonly [href: string, label: string, page: string, needs: Action])[] = [
  ['/', 'Worklist', 'worklist', 'view-studies'],
  ['/conflicts', 'Conflicts', 'conflicts', 'decide-conflicts'],
  ['/quarantine', 'Quarantine', 'quarantine', 'view-quarantine'],
  ['/jobs', 'Jobs', 'jobs', 'view-dead-letters'],
  ['/models', 'Models', 'models', 'view-status'],
  ['/status', 'Status', 'status', 'view-status'],
];

export function Frame({ route }: { route: Route }) {
  // `/` goes to the search field, as in most worklists.
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement | null;
      const typing = target?.closest('input, select, textarea, [contenteditable]');
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || typing) return;
      const search = document.getElementById('search');
      if (!search) return;
      event.preventDefault();
      search.focus();
    };
    addEventListener('keydown', focus);
    return () => removeEventListener('keydown', focus);
  }, []);
  // A role that was given or taken away holds at once.
  useChanges(['administration'], () => void checkSession());

  return (
    <>
      <a className="skip" href="#main">Skip to content</a>
      <EmergencyBar />
      <header className="bar">
        <Link className="brand" href="/" aria-label="Hilum, first page"><Mark /><span>Hilum</span></Link>
        <Navigation route={route} />
        <Connected />
        <PersonMenu />
      </header>
      <main id="main" tabIndex={-1}><Page route={route} /></main>
    </>
  );
}

function Navigation({ route }: { route: Route }) {
  const may = useMay();
  const storage = useResource(may('view-storage') ? 'storage' : undefined, api.storage, ['quarantine', 'studies']);
  const conflicts = useResource(may('view-studies') ? 'open-conflicts' : undefined, api.patientConflicts, ['patients']);
  const deadLetters = useResource(may('view-dead-letters') ? 'waiting-dead-letters' : undefined, api.deadLetters, ['dead-letters']);
  const deadJobs = useResource(may('view-dead-letters') ? 'waiting-jobs' : undefined, signal => api.jobs('dead', signal), ['runs', 'deliveries']);
  const emergencies = useResource(may('review-break-glass') ? 'emergencies' : undefined, signal => admin.breakGlass(undefined, signal), ['administration']);
  const waiting: Record<string, number> = {
    administration: emergencies.data?.items.filter(one => !one.reviewed_at).length ?? 0,
    conflicts: (conflicts.data?.items.length ?? 0) + (storage.data?.conflicts ?? 0),
    quarantine: storage.data?.quarantine_items ?? 0,
    jobs: (deadJobs.data?.items.length ?? 0) + (deadLetters.data?.items.length ?? 0),
  };
  const current = route.page === 'study' ? 'worklist' : route.page;
  const administers = adminPages(may).length > 0;
  const row = useCurrentInView<HTMLElement>(`${current} ${waiting.administration}`);
  return (
    <nav aria-label="Pages" ref={row}>
      {TABS.filter(([, , , needs]) => may(needs)).map(([href, label, page]) => (
        <Link key={href} href={href} aria-current={current === page ? 'page' : undefined}>
          {label}
          <Waiting count={waiting[page] ?? 0} />
        </Link>
      ))}
      {administers && <Link href="/admin" aria-current={current === 'administration' || current === 'admin' ? 'page' : undefined}>Administration<Waiting count={waiting.administration ?? 0} /></Link>}
    </nav>
  );
}

function Waiting({ count }: { count: number }) {
  if (count === 0) return null;
  return <span className="waiting" title={`${count} waiting for a decision`}>{count}</span>;
}

function Page({ route }: { route: Route }) {
  const may = useMay();
  const [, label, , needs] = TABS.find(([, , page]) => page === (route.page === 'study' ? 'worklist' : route.page)) ?? [];
  if (needs && !may(needs)) {
    // Who may not see the worklist begins where they have something to do.
    if (route.page === 'worklist') return <Elsewhere />;
    return <NotAllowed what={route.page === 'study' ? 'studies' : `the page ${label}`} />;
  }
  switch (route.page) {
    case 'worklist': return <Worklist />;
    case 'study': return <StudyPage key={route.uid} uid={route.uid} />;
    case 'conflicts': return <Conflicts />;
    case 'quarantine': return <Quarantine />;
    case 'jobs': return <Jobs />;
    case 'models': return <Models />;
    case 'status': return <Status />;
    case 'account': return <Account />;
    case 'administration': return <Administration of={route.of} />;
    case 'admin': return <Elsewhere />;
    case 'link': case 'gate': return <Back />;
    case 'missing': return <Missing />;
  }
}

/** The first page of the administration that the person may see. */
function Elsewhere() {
  const [first] = adminPages(useMay());
  const to = first ? `/admin/${first}` : '/account';
  useEffect(() => navigate(to, true), [to]);
  return null;
}

/** Signed in at `/sign-in`: back to where the person came from. */
function Back() {
  const { search } = useLocation();
  const to = localAddress(new URLSearchParams(search).get('return_to'), location.origin);
  useEffect(() => startAfresh(to), [to]);
  return null;
}

function Missing() {
  useTitle('Not found');
  return <Empty title="There is no such page"><p><Link href="/">Go to the first page</Link></p></Empty>;
}

const CONNECTION = {
  live: ['good', 'Live', 'Changes show by themselves'],
  connecting: ['quiet', 'Connecting', 'Waiting for live updates'],
  lost: ['warn', 'Reconnecting', 'What is shown may be old; Hilum is being asked again'],
} as const;

function Connected() {
  const [tone, label, hint] = CONNECTION[useConnection()];
  return <span className={`connection ${tone}`} role="status" title={hint}>{label}</span>;
}
