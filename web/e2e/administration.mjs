// Walks through the administration as each role: what it shows, what it does not,
// and what is done there.
//
//   HILUM_STUDY        a study whose patient's name and description are HTML
//   HILUM_DICOM        host:port where images are received
//   HILUM_IMAGE        an image to send
//   HILUM_PACS         host:port of a DICOM node, AE title PACS
//
// and what `browser.mjs` reads.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { NOBODY, answer, at, base, expect, mayBeRefused, open, picture, problem, session, tell, tokenOf, visit, walk } from './browser.mjs';

const { HILUM_STUDY: study, HILUM_DICOM: dicom, HILUM_IMAGE: image, HILUM_PACS: pacs } = process.env;
const PASSWORD = 'seven grey geese went north';

const PAGES = {
  people: 'People', roles: 'Roles', devices: 'Devices', destinations: 'Destinations', keys: 'API keys', audit: 'Audit trail',
  emergency: 'Emergency access', storage: 'Storage', settings: 'Settings',
};
/** What each sees in the navigation, and of the administration. */
const SEES = {
  radiologist: [['Worklist', 'Conflicts', 'Models', 'Status'], []],
  technologist: [['Worklist', 'Conflicts', 'Quarantine', 'Models', 'Status', 'Administration'], ['devices']],
  auditor: [['Models', 'Status', 'Administration'], ['people', 'roles', 'devices', 'keys', 'audit', 'emergency', 'storage', 'settings']],
  administrator: [['Worklist', 'Conflicts', 'Quarantine', 'Jobs', 'Models', 'Status', 'Administration'], ['people', 'roles', 'devices', 'destinations', 'keys', 'audit', 'storage', 'settings']],
};

const shows = (page, text, timeout = 15_000) => page.getByText(text).first().waitFor({ timeout }).catch(() => problem(`"${text}" does not show`));
const head = page => `h1:text-is("${PAGES[page]}")`;

/** Nothing of a name became a part of the page. */
async function onlyText(page) {
  expect(await page.locator('img[src="x"], main b, main script').count() === 0, 'HTML of a name became a part of the page');
  expect(!(await page.evaluate(() => window.stumbled)), 'a script of a name ran');
}

async function pages(scheme, width, height) {
  const page = await open(scheme, width, height);
  for (const name of Object.keys(PAGES)) {
    await visit(page, `/admin/${name}`, head(name), `admin-${name}-${scheme}-${width}`);
    await page.waitForFunction(() => !document.querySelector('.loading'), undefined, { timeout: 15_000 }).catch(() => problem('it goes on loading'));
    for (const notice of await page.locator('.notice.bad').allInnerTexts()) problem(notice);
    await picture(page, `admin-${name}-${scheme}-${width}`);
    await onlyText(page);
  }
  await visit(page, '/account', 'h1:text-is("Your account")', `account-${scheme}-${width}`);
  await page.context().close();
}

/** A person with this role, by an invitation. */
async function invited(role) {
  const { link } = await tell('POST', '/invitations', { email: `${role}@st-mary.example`, role });
  return session('invitation/accept', { token: tokenOf(link), name: `Kim ${role}`, password: PASSWORD });
}

async function seenBy(role) {
  at(`as ${role}`);
  const page = await open('light', 1280, 860, invited(role));
  const [navigation, administers] = SEES[role];
  await page.goto(`${base}/`);
  await page.waitForSelector('.menu-button');
  const tabs = await page.locator("nav[aria-label='Pages'] a").evaluateAll(links => links.map(link => link.firstChild.textContent));
  expect(tabs.join() === navigation.join(), `the navigation is ${tabs}`);
  await picture(page, `as-${role}`);
  for (const name of Object.keys(PAGES)) {
    const may = administers.includes(name);
    await visit(page, `/admin/${name}`, may ? head(name) : 'h2:text-is("This is not part of your role")', `as-${role}-${name}`);
    if (role === 'auditor' || role === 'technologist') {
      const changes = await page.getByRole('button', { name: /^(Invite|Remove|Role…|Revoke|Make|Add|Admit|Save|Change)/ }).count();
      expect(changes === 0, `${changes} buttons change something`);
    }
  }
  return page;
}

async function emergency(page) {
  at('emergency access');
  await page.goto(`${base}/`);
  await page.locator('.menu-button').click();
  await page.getByRole('button', { name: 'Emergency access…' }).click();
  await page.getByLabel(/Why is it needed/).fill('Trauma at night');
  await page.getByRole('button', { name: 'Take emergency access' }).click();
  await shows(page, 'Emergency access is on until');
  await page.goto(`${base}/`);
  await page.waitForSelector('.worklist tbody tr', { timeout: 15_000 }).catch(() => problem('the worklist does not show'));
  await picture(page, 'emergency-on');
  await page.getByRole('button', { name: 'End it now' }).click();
  await page.locator('.emergency').waitFor({ state: 'detached' }).catch(() => problem('the bar stays'));

  const owner = await open('light', 1280, 860);
  await visit(owner, '/admin/emergency', '.card', 'emergency-to-review');
  await owner.getByRole('button', { name: 'Review…' }).click();
  await owner.getByLabel('Your review').fill('Right: nobody else was there.');
  await owner.getByRole('button', { name: 'Done' }).click();
  await shows(owner, 'Reviewed');
  await picture(owner, 'emergency-reviewed');
}

async function keys() {
  const page = await open('light', 1280, 860);
  await visit(page, '/admin/keys', head('keys'), 'keys');
  await page.getByRole('button', { name: 'Make a key…' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Router <b>1</b>');
  await page.getByLabel('Only some of it').check();
  await page.getByLabel('Send images in.').check();
  await page.getByRole('button', { name: 'Make the key' }).click();
  await shows(page, 'Copy this key now');
  const secret = (await page.getByLabel('the API key', { exact: true }).innerText()).trim();
  expect(/^hk_/.test(secret), 'the key does not look like one');
  await picture(page, 'key-made');
  const asks = path => fetch(`${base}${path}`, { headers: { authorization: `Bearer ${secret}` } });
  expect((await asks('/api/v1/studies')).status === 403, 'a key does more than it is limited to');
  await page.getByRole('button', { name: 'I have it' }).click();
  expect(await page.getByText(secret).count() === 0, 'the secret stays');
  await onlyText(page);
  await page.locator('tr', { hasText: 'Router' }).getByRole('button', { name: 'Revoke…' }).click();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await page.locator('tr', { hasText: 'Router' }).waitFor({ state: 'detached' }).catch(() => problem('the key stays'));
  expect((await asks('/api/v1/studies')).status === 401, 'a revoked key comes in');
}

/** Sends the image as somebody; whether it was taken. */
const sends = as => {
  const [host, port] = dicom.split(':');
  return answer('/status').then(({ ae_title }) => promisify(execFile)('storescu', ['-aet', as, '-aec', ae_title, host, port, image])).then(() => true, () => false);
};

async function devices() {
  const page = await open('light', 1280, 860);
  await visit(page, '/admin/settings', head('settings'), 'settings');
  await page.getByLabel('Devices that are not known').selectOption('reject');
  await page.getByRole('button', { name: 'Save' }).click();
  await shows(page, 'Saved');
  expect(!(await sends('CT1')), 'a device that nobody knows is taken in');
  await visit(page, '/admin/devices', '.caller', 'device-unknown');
  await shows(page, 'A machine that calls itself CT1 tried to reach Hilum from 127.0.0.1');
  await picture(page, 'device-unknown');
  await page.getByRole('button', { name: 'Admit' }).click();
  await page.locator('.caller').waitFor({ state: 'detached' }).catch(() => problem('the caller stays'));
  await shows(page, 'CT1');
  await picture(page, 'device-admitted');
  expect(await sends('CT1'), 'an admitted device is turned away');
}

async function destinations() {
  const page = await open('light', 1280, 860);
  const item = name => page.locator('.destinations > li', { hasText: name });
  const pressed = name => page.getByRole('button', { name, exact: true }).click();
  await visit(page, '/admin/destinations', head('destinations'), 'destinations-none');
  await shows(page, 'No destination yet');
  await pressed('Add a destination…');
  await page.getByLabel('Name', { exact: true }).fill('PACS <b>1</b>');
  await page.getByLabel('Host and port').fill('169.254.169.254:104');
  await page.getByLabel('AE title', { exact: true }).fill('PACS');
  mayBeRefused(url => url.endsWith('/api/v1/destinations'));
  await pressed('Add');
  await shows(page, 'a network that is not public');
  mayBeRefused(() => false);
  await page.getByLabel('Host and port').fill(pacs);
  await page.getByText('Which results').click();
  await page.getByLabel('Modalities of the study').fill('mr, CT');
  await picture(page, 'destination-made');
  await pressed('Add');
  await shows(page, 'Every result, for studies with MR or CT');
  await item('PACS').getByRole('button', { name: 'Test' }).click();
  await shows(page, 'It took an association and answered C-ECHO.');
  await picture(page, 'destination-tested');
  await item('PACS').getByRole('button', { name: 'Pause' }).click();
  await item('PACS').getByRole('button', { name: 'Resume' }).waitFor({ timeout: 15_000 }).catch(() => problem('it is not paused'));

  await pressed('Add a destination…');
  await page.getByLabel('What is it?').selectOption('webhook');
  await page.getByLabel('Name', { exact: true }).fill('RIS');
  await page.getByLabel('Address', { exact: true }).fill('http://127.0.0.1:9/hook');
  await pressed('Add');
  await shows(page, 'Copy this secret now');
  const secret = (await page.getByLabel('the secret', { exact: true }).innerText()).trim();
  expect(/^whsec_/.test(secret), 'the secret does not look like one');
  await picture(page, 'destination-secret');
  await pressed('I have it');
  expect(await page.getByText(secret).count() === 0, 'the secret stays');
  await item('RIS').getByRole('button', { name: 'Test' }).click();
  await shows(page, 'RIS: it could not be reached.');
  await item('RIS').getByRole('button', { name: 'Change…' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Information system');
  await pressed('Save');
  await item('Information system').getByRole('button', { name: 'New secret…' }).click();
  await pressed('Make it');
  await shows(page, 'Signed with the former secret, too, until');
  await pressed('I have it');
  await onlyText(page);
  await picture(page, 'destinations');
  const narrow = await open('dark', 390, 844);
  await visit(narrow, '/admin/destinations', '.destinations', 'destinations-narrow');
  await picture(narrow, 'destinations-narrow');
  for (const name of ['Information system', 'PACS']) {
    await item(name).getByRole('button', { name: 'Remove…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
    await item(name).waitFor({ state: 'detached' }).catch(() => problem(`${name} stays`));
  }
}

async function audit() {
  const page = await open('light', 1280, 860);
  await visit(page, '/admin/audit', '.trail', 'audit');
  await page.getByRole('combobox', { name: 'What', exact: true }).selectOption('view-study');
  await page.getByLabel('Study Instance UID').fill(study);
  await page.getByRole('button', { name: 'Search' }).click();
  await shows(page, `viewed the study ${study}`);
  await picture(page, 'audit-found');
  await page.getByRole('button', { name: 'Check the whole trail' }).click();
  await shows(page, 'Whole:', 30_000);
  await picture(page, 'audit-checked');
  for (const format of ['Table (CSV)', 'FHIR AuditEvents']) {
    const [download] = await Promise.all([page.waitForEvent('download', { timeout: 15_000 }), page.getByRole('link', { name: format }).click()]);
    expect(!(await download.failure()), `${format} fails`);
  }
}

async function signedOut() {
  const page = await open('light', 1280, 860, session('sign-in', { email: 'radiologist@st-mary.example', password: PASSWORD }));
  await visit(page, '/', 'table', 'before-signing-out');
  await visit(page, `/studies/${study}`, '.banner h1', 'before-signing-out-of-a-study');
  await page.locator('.menu-button').click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await shows(page, 'I have forgotten my password');
  await page.goBack();
  await shows(page, 'I have forgotten my password');
  expect(await page.locator('.banner, table').count() === 0, 'Back shows studies to nobody');
  at('signing in where one was');
  await page.goto(`${base}/studies/${study}`);
  await page.getByLabel('E-mail').fill('radiologist@st-mary.example');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.banner h1', { timeout: 15_000 }).catch(() => problem('the study does not show after signing in'));
  for (const to of ['//evil.example/', 'https://evil.example/', '/\\evil.example']) {
    await page.goto(`${base}/sign-in?return_to=${encodeURIComponent(to)}`);
    await page.waitForURL(`${base}/`, { timeout: 10_000 }).catch(() => problem(`${to} leads to ${page.url()}`));
  }
}

await walk(async () => {
  const looks = await open('light', 1280, 860);
  await visit(looks, '/', '.worklist tbody tr', 'worklist-html');
  await shows(looks, '<img src');
  await onlyText(looks);
  await visit(looks, `/studies/${study}`, '.banner h1', 'study-html');
  await onlyText(looks);

  await keys();
  await devices();
  await destinations();
  for (const [scheme, width, height] of [['light', 1280, 860], ['dark', 1280, 860], ['light', 390, 844]]) await pages(scheme, width, height);
  await seenBy('radiologist');
  await seenBy('technologist');
  await seenBy('administrator');
  await emergency(await seenBy('auditor'));
  await audit();
  await signedOut();

  at('a person is made by the invitation on the page');
  const page = await open('light', 1280, 860);
  await visit(page, '/admin/people', '.rows', 'people');
  await page.getByRole('button', { name: 'Invite a person…' }).click();
  await page.getByRole('dialog').getByLabel('E-mail').fill('late@st-mary.example');
  await page.getByRole('button', { name: 'Invite', exact: true }).click();
  const link = (await page.getByLabel('the link', { exact: true }).innerText()).trim();
  await picture(page, 'invited');
  const other = await open('light', 390, 844, NOBODY);
  await other.goto(link);
  await shows(other, 'Join ');
  await other.getByLabel('Your name').fill('Late <b>Comer</b>');
  await other.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await picture(other, 'invitation');
  await other.getByRole('button', { name: 'Join' }).click();
  await other.waitForSelector('.menu-button', { timeout: 15_000 }).catch(() => problem('who accepts is not signed in'));
  await page.reload();
  await shows(page, 'Late <b>Comer</b>');
  await onlyText(page);
});
