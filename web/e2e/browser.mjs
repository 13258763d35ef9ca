// What the walks of this folder share: the browser, its pages, pictures of
// them, and the list of what a person would stumble over.
//
//   HILUM_URL          the running Hilum (default http://127.0.0.1:8080)
//   HILUM_TOKEN        a bearer token that every page sends (default: none)
//   SCREENSHOTS        a folder for pictures of every page (default: none)
//   CHROMIUM           the browser (default /usr/bin/chromium)

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

export const base = (process.env.HILUM_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '');
const token = process.env.HILUM_TOKEN;
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
export const expect = (holds, text) => holds || problem(text);

const browser = await chromium.launch({
  executablePath,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});

export async function open(scheme, width, height) {
  const extraHTTPHeaders = token ? { authorization: `Bearer ${token}` } : {};
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, extraHTTPHeaders });
  const page = await context.newPage();
  page.on('console', message => message.type() === 'error' && problem(`console: ${message.text().slice(0, 200)}`));
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

export async function visit(page, path, ready, name) {
  at(`${name} (${path})`);
  await page.goto(base + path);
  await page.waitForSelector(ready, { timeout: 15_000 }).catch(() => problem(`${ready} does not show`));
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wider <= 0, `the page is ${wider} pixels wider than the screen`);
  await picture(page, name);
}

/** Asks `/api/v1`. */
export const answer = async path =>
  (await fetch(`${base}/api/v1${path}`, { headers: token ? { authorization: `Bearer ${token}` } : {} })).json();

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
