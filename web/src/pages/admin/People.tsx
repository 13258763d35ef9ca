// Who belongs to the organisation, and who is invited to.

import { memo, useEffect, useRef, useState } from 'react';

import type { Invitation, Person, Role } from '../../api/access';
import { admin } from '../../api/admin';
import { useAuth, useMay } from '../../api/session';
import { usePages } from '../../api/usePages';
import { day, moment } from '../../lib/format';
import { ROLE, givenBy, roleName } from '../../lib/roles';
import { Action, Announce, Badge, Failure, Loading, Notice, useTitle } from '../../parts';
import { Copyable } from '../../parts/Copy';
import { Modal } from '../../parts/Dialogue';
import { More } from '../../parts/More';
import { SessionList } from '../../parts/Sessions';
import { TextField } from '../../parts/fields';

/** A link that no mail carries. */
interface HandOver {
  title: string;
  link: string;
  lives: string;
}

/** Typing is over after this long. */
const TYPED_MS = 250;

export function People() {
  useTitle('People');
  const may = useMay();
  const [typed, setTyped] = useState('');
  const [q, setQ] = useState('');
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const search = (value: string) => {
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQ(value.trim()), TYPED_MS);
  };
  const people = usePages(`people ${q}`, (after, signal) => admin.people(q, after, signal));
  const invitations = usePages('invitations', (after, signal) => admin.invitations(after, signal));
  const [link, setLink] = useState<HandOver>();
  return (
    <>
      <div className="page-head"><h1>People</h1>{may('manage-people') && (
        <Invite done={(email, link) => { invitations.reload(); setLink(link ? { title: `${email} is invited`, link, lives: 'It works once, for seven days, and is not shown again.' } : undefined); }} />
      )}</div>
      <p className="lead">Who can sign in, and what each may do. What a role means is under Roles.</p>
      {link && (
        <Notice tone="busy" title={link.title}>
          <p>Hilum sends no mail here: give them this link yourself. {link.lives}</p>
          <Copyable text={new URL(link.link, location.origin).href} label="the link" />
        </Notice>
      )}
      <Invitations pages={invitations} />
      <search>
        <div className="filters"><label className="field"><span>Find a person by name or e-mail</span>
          <input id="search" type="search" value={typed} autoComplete="off" spellCheck={false} maxLength={200} onChange={event => search(event.target.value)} />
        </label></div>
      </search>
      {people.error && <Failure error={people.error} retry={people.reload} />}
      {!people.items && !people.error && <Loading lines={5} />}
      {people.items?.length === 0 && <p className="faint">Nobody is called so.</p>}
      {people.items && people.items.length > 0 && (
        <div className="sheet">
          <table className="rows">
            <thead><tr><th scope="col">Name</th><th scope="col">Role</th><th scope="col">Last seen</th><th scope="col"><span className="unseen">What to do</span></th></tr></thead>
            <tbody>{people.items.map(person => <PersonRow key={person.id} person={person} changed={people.reload} handOver={setLink} />)}</tbody>
          </table>
        </div>
      )}
      <More pages={people} />
      <Announce text={people.items ? `${people.items.length} people shown` : ''} />
    </>
  );
}

// Many rows stay as they are when more come.
const PersonRow = memo(function PersonRow({ person, changed, handOver }: { person: Person; changed: () => void; handOver: (link: HandOver | undefined) => void }) {
  const may = useMay();
  const { role, person: me, mail } = useAuth();
  const mine = me?.id === person.id;
  const gives = givenBy(role);
  // An owner is changed by owners, and nobody changes themselves.
  const manages = may('manage-people') && !mine && gives.includes(person.role);
  return (
    <tr>
      <td>
        <span className="named">{person.name}</span>{mine && <> <Badge tone="quiet">You</Badge></>}
        <span className="second">{person.email}</span>
      </td>
      <td data-label="Role">{roleName(person.role)}<span className="second">since {day(person.since)}</span></td>
      <td data-label="Last seen">{person.seen_at ? moment(person.seen_at) : <span className="faint">Not signed in</span>}</td>
      <td className="row-actions">
        {manages && <GiveRole person={person} gives={gives} done={changed} />}
        <Modal open="Signed in…" title={`Where ${person.name} is signed in`} submit={manages ? 'Sign out everywhere' : 'Close'}
          act={async () => { if (manages) await admin.endSessionsOf(person.id); }} done={() => {}}>
          <SessionList name={`sessions of ${person.id}`} load={signal => admin.sessionsOf(person.id, signal)} />
        </Modal>
        {manages && (
          <Modal open="Password…" title={`Another password for ${person.name}`} submit={mail ? 'Send the link' : 'Make a link'} act={() => admin.resetLink(person.id)}
            done={({ link }) => handOver(link ? { title: `${person.name} can choose another password`, link, lives: 'It works once, for half an hour, and is not shown again.' } : undefined)}>
            <p>{mail ? 'They get a link by mail' : 'You get a link to hand over'} by which they choose another password. Until then, theirs stays.</p>
          </Modal>
        )}
        {manages && (
          <Modal kind="danger" open="Remove…" title={`Remove ${person.name}`} submit="Remove" act={() => admin.endMembership(person.id)} done={changed}>
            <p>They leave the organisation and are signed out at once. What they did stays in the audit trail. API keys that they made go on working: revoke those that nobody needs.</p>
          </Modal>
        )}
      </td>
    </tr>
  );
});

function RoleChoice({ roles, value, change }: { roles: Role[]; value: Role; change: (role: Role) => void }) {
  return (
    <fieldset className="choice roles">
      <legend>Role</legend>
      {roles.map(role => (
        <label key={role}>
          <input type="radio" checked={value === role} onChange={() => change(role)} />
          <span><strong>{ROLE[role][0]}</strong> <span className="second">{ROLE[role][1]}</span></span>
        </label>
      ))}
    </fieldset>
  );
}

function GiveRole({ person, gives, done }: { person: Person; gives: Role[]; done: () => void }) {
  const [role, setRole] = useState(person.role);
  return (
    <Modal open="Role…" title={`The role of ${person.name}`} submit="Give this role" opened={() => setRole(person.role)}
      disabled={role === person.role} act={() => admin.giveRole(person.id, role)} done={done}>
      <p>They are signed out, and sign in again to what they may then.</p>
      <RoleChoice roles={gives} value={role} change={setRole} />
    </Modal>
  );
}

function Invite({ done }: { done: (email: string, link: string | null) => void }) {
  const { role: mine, mail } = useAuth();
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('radiologist');
  return (
    <Modal kind="primary" open="Invite a person…" title="Invite a person" submit="Invite"
      act={() => admin.invite(email.trim(), role)} done={invited => { done(email.trim(), invited.link); setEmail(''); }}>
      <p>{mail ? 'They get a link by mail' : 'You get a link to hand over'}, and they choose their password themselves.</p>
      <TextField label="E-mail" type="email" required maxLength={254} autoComplete="off" value={email} change={setEmail} />
      <RoleChoice roles={givenBy(mine)} value={role} change={setRole} />
    </Modal>
  );
}

function Invitations({ pages }: { pages: ReturnType<typeof usePages<Invitation>> }) {
  const may = useMay();
  if (pages.error) return <Failure error={pages.error} retry={pages.reload} />;
  if (!pages.items?.length) return null;
  return (
    <section aria-labelledby="invited" className="first">
      <h2 id="invited">Invited</h2>
      <ul className="card lines">
        {pages.items.map(one => (
          <li key={one.id}>
            <div><span className="named">{one.email}</span><span className="second">As {roleName(one.role).toLowerCase()}, by {one.invited_by} · until {moment(one.expires_at)}</span></div>
            {may('manage-people') && <Action act={() => admin.withdraw(one.id)} done={pages.reload} confirm="Take the invitation back?">Take back</Action>}
          </li>
        ))}
      </ul>
      <More pages={pages} />
    </section>
  );
}
