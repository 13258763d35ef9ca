// The frame around every page: navigation, the live-update indicator, the page.

import { useEffect } from 'react';

import { api } from './api/client';
import { useConnection } from './api/live';
import { useResource } from './api/useResource';
import { Conflicts } from './pages/Conflicts';
import { Models } from './pages/Models';
import { Quarantine } from './pages/Quarantine';
import { Status } from './pages/Status';
import { StudyPage } from './pages/Study';
import { Worklist } from './pages/Worklist';
import { Empty, useTitle } from './parts';
import { Link, type Route, routeOf, useLocation } from './router';

const TABS = [
  ['/', 'Worklist', 'worklist'],
  ['/conflicts', 'Conflicts', 'conflicts'],
  ['/quarantine', 'Quarantine', 'quarantine'],
  ['/models', 'Models', 'models'],
  ['/status', 'Status', 'status'],
] as const;

export function App() {
  const { path } = useLocation();
  const route = routeOf(path);

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

  return (
    <>
      <a className="skip" href="#main">Skip to content</a>
      <header className="bar">
        <Link className="brand" href="/" aria-label="Hilum, worklist"><Mark /><span>Hilum</span></Link>
        <Navigation route={route} />
        <Connected />
      </header>
      <main id="main" tabIndex={-1}><Page route={route} /></main>
    </>
  );
}

function Navigation({ route }: { route: Route }) {
  const storage = useResource('storage', api.storage, ['quarantine', 'studies']);
  const conflicts = useResource('open-conflicts', api.patientConflicts, ['patients']);
  const deadLetters = useResource('waiting-dead-letters', api.deadLetters, ['dead-letters']);
  const waiting: Record<string, number> = {
    conflicts: (conflicts.data?.items.length ?? 0) + (storage.data?.conflicts ?? 0),
    quarantine: (storage.data?.quarantine_items ?? 0) + (deadLetters.data?.items.length ?? 0),
  };
  const current = route.page === 'study' ? 'worklist' : route.page;
  return (
    <nav aria-label="Pages">
      {TABS.map(([href, label, page]) => (
        <Link key={href} href={href} aria-current={current === page ? 'page' : undefined}>
          {label}
          {(waiting[page] ?? 0) > 0 && <span className="waiting" title={`${waiting[page]} waiting for a decision`}>{waiting[page]}</span>}
        </Link>
      ))}
    </nav>
  );
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'worklist': return <Worklist />;
    case 'study': return <StudyPage key={route.uid} uid={route.uid} />;
    case 'conflicts': return <Conflicts />;
    case 'quarantine': return <Quarantine />;
    case 'models': return <Models />;
    case 'status': return <Status />;
    case 'missing': return <Missing />;
  }
}

function Missing() {
  useTitle('Not found');
  return <Empty title="There is no such page"><p><Link href="/">Go to the worklist</Link></p></Empty>;
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

function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect className="mark-ground" width="32" height="32" rx="8" />
      <path className="mark-line" d="M9 7v18M23 7v18M9 16c4-5 10 5 14 0" />
    </svg>
  );
}
