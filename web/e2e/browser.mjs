// What the walks of this folder share: the browser, its pages, pictures of
// them, and the list of what a person would stumble over.
//
//   HILUM_URL          the running Hilum (default http://127.0.0.1:8080)
//   HILUM_TOKEN        its operator's token, from run.json: the walk becomes an owner
//   HILUM_EMAIL, HILUM_PASSWORD   or who signs in, without that
//   SCREENSHOTS        a folder for pictures of every page (default: none)
//   CHROMIUM           the browser (default /usr/bin/chromium)

import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { chromium, request } from 'playwright-core';

export const base = (process.env.HILUM_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '');
const pictures = process.env.SCREENSHOTS;
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

const problems = [];
let where = 'start';
/** Names what is looked at now. */
export function at(place) {
  where = place;
  console.log(where);
}
export const problem = text => {
  problems.push(`${where}: ${text}`);
  console.error(`  problem: ${text}`);
};
let gone = () => false;
/** Addresses that a page may ask for in vain: it has not heard yet that what they name was taken away. */
export const mayBeGone = matches => {
  gone = matches;
};
let refused = () => false;
/** Addresses that a page asks for what is refused, to see what it says then. */
export const mayBeRefused = matches => {
  refused = matches;
};
export const expect = (holds, text) => holds || problem(text);

const browser = await chromium.launch({
  executablePath,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});

/** Whom the walks make; a password that nobody guesses first. */
export const OWNER = {
  organisation: 'St Mary Hospital', name: 'Anna Berg',
  email: process.env.HILUM_EMAIL ?? 'anna.berg@st-mary.example',
  password: process.env.HILUM_PASSWORD ?? 'four herons over a cold fjord',
};

/** The cookies of somebody whom `POST /auth/…` signs in. */
export async function session(path, body) {
  // A browser says where its page came from; the doors ask for it.
  const asks = await request.newContext({ baseURL: base, extraHTTPHeaders: { origin: base } });
  const answered = await asks.post(`/auth/${path}`, { data: body });
  if (!answered.ok()) throw new Error(`/auth/${path} answers ${answered.status()}: ${await answered.text()}`);
  const state = await asks.storageState();
  await asks.dispose();
  return state;
}

/** The token in a link's fragment. */
export const tokenOf = link => /([\w-]+)$/.exec(new URL(link, base).hash)[1];

async function becomeOwner() {
  const { name, email, password } = OWNER;
  const token = process.env.HILUM_TOKEN;
  if (!token) return session('sign-in', { email, password });
  const invited = await fetch(`${base}/api/v1/invitations`, {
    method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify({ email, role: 'owner' }),
  });
  // Another walk may have been here.
  if (!invited.ok) return session('sign-in', { email, password });
  return session('invitation/accept', { token: tokenOf((await invited.json()).link), name, password });
}

let owner;
/** The owner's cookies: signed in once for the whole walk. */
const owned = () => (owner ??= becomeOwner());

/** Cookies of nobody. */
export const NOBODY = { cookies: [], origins: [] };

export async function open(scheme, width, height, storageState = owned()) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, storageState: await storageState });
  const page = await context.newPage();
  page.on('console', message => {
    const { url } = message.location();
    if (message.type() !== 'error' || (message.text().includes('404') && gone(url))) return;
    if (message.text().includes('400') && refused(url)) return;
    problem(`console: ${message.text().slice(0, 200)} ${url}`);
  });
  page.on('pageerror', error => problem(`exception: ${error.message.slice(0, 200)}`));
  page.on('request', request => {
    const url = request.url();
    if (!url.startsWith(`${base}/`) && !/^(data|blob):/.test(url)) problem(`asks another host: ${new URL(url).host}`);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', event => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
  });
  return page;
}

export async function picture(page, name) {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const GRAVE = ['serious', 'critical'];

/** What axe-core finds that keeps people out who can't see the page or can't point at it (WCAG 2.2, levels A and AA). */
export async function accessible(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'],
  }));
  for (const { id, impact, help, nodes } of violations.filter(one => GRAVE.includes(one.impact))) {
    problem(`${impact}: ${help} (${id}), ${nodes.length} times, first ${nodes[0].html.slice(0, 160)}`);
  }
}

export async function visit(page, path, ready, name) {
  at(`${name} (${path})`);
  await page.goto(base + path);
  await page.waitForSelector(ready, { timeout: 15_000 }).catch(() => problem(`${ready} does not show`));
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wider <= 0, `the page is ${wider} pixels wider than the screen`);
  await accessible(page);
  await picture(page, name);
}

const cookies = state => ({ cookie: state.cookies.map(one => `${one.name}=${one.value}`).join('; ') });

/** Asks `/api/v1` as the owner. */
export const answer = async path => (await fetch(`${base}/api/v1${path}`, { headers: cookies(await owned()) })).json();

/** Does something at `/api/v1` as the owner. */
export async function tell(method, path, body) {
  const headers = { ...cookies(await owned()), origin: base, 'content-type': 'application/json' };
  const answered = await fetch(`${base}/api/v1${path}`, { method, headers, body: JSON.stringify(body) });
  if (!answered.ok) throw new Error(`${method} ${path} answers ${answered.status}: ${await answered.text()}`);
  const text = await answered.text();
  return text ? JSON.parse(text) : undefined;
}

/** Walks to the end; problems on the way, and an exception, fail the process. */
export async function walk(steps) {
  try {
    await steps();
  } catch (error) {
    problem(error instanceof Error ? error.message : String(error));
  } finally {
    await browser.close();
  }
  if (problems.length > 0) {
    console.error(`${problems.length} problem(s)`);
    process.exitCode = 1;
  } else {
    console.log('nothing to stumble over');
  }
}
