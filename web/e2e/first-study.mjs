// The first five minutes: from the set-up link to the first study's result, with
// a stopwatch. Nothing is prepared but the link.
//
//   HILUM_SET_UP       the set-up link that `hilum serve` printed
//   HILUM_SAMPLES      a folder of images to send
//   HILUM_RESULT       wait for a model's result too, not for the study alone
//
// and what `browser.mjs` reads. Sends with dcmtk, as the page says.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { NOBODY, OWNER, at, expect, open, picture, problem, walk } from './browser.mjs';

const { HILUM_SET_UP: link, HILUM_SAMPLES: samples, HILUM_RESULT: wanted } = process.env;
const ARRIVES_MS = 30_000;
const RESULT_MS = 280_000;

const shows = (page, text, timeout = 15_000) => page.getByText(text).first().waitFor({ timeout }).catch(() => problem(`"${text}" does not show`));

/** Runs the line that the page shows, with the folder's name in its place. */
async function send(line) {
  const [program, ...words] = line.split(' ');
  return promisify(execFile)(program, words.map(word => (word === 'FOLDER' ? samples : word)), { maxBuffer: 1 << 24 })
    .then(() => true, () => false);
}

await walk(async () => {
  const page = await open('light', 1280, 860, NOBODY);
  const begun = Date.now();
  const stamp = what => console.log(`  ${((Date.now() - begun) / 1000).toFixed(1)} s: ${what}`);

  at('set-up link');
  await page.goto(link);
  await shows(page, 'Set up Hilum');
  await picture(page, 'first-set-up');
  for (const [label, value] of [['Organisation', OWNER.organisation], ['Your name', OWNER.name], ['E-mail', OWNER.email], ['Password', OWNER.password]]) {
    await page.getByLabel(label, { exact: true }).fill(value);
  }
  await page.keyboard.press('Enter');
  await shows(page, 'Send your first study');
  stamp('set up and signed in');
  expect(new URL(page.url()).hash === '', 'the token of the link stays in the address');
  await picture(page, 'first-empty');

  at('settings to copy');
  for (const [tool, label] of [['dcm4che', 'the command of dcm4che'], ['Orthanc', 'the settings of Orthanc'], ['curl', 'the command of curl']]) {
    await page.getByRole('button', { name: tool, exact: true }).click();
    const snippet = page.getByLabel(label, { exact: true });
    await snippet.waitFor();
    if (tool === 'Orthanc') {
      await page.getByRole('button', { name: 'Make a key for this' }).click();
      await page.getByText('Bearer hk_').first().waitFor({ timeout: 10_000 }).catch(() => problem('no key stands in the settings'));
    }
    await picture(page, `first-${tool.toLowerCase()}`);
  }
  stamp('a key is made');

  at('sending');
  await page.getByRole('button', { name: 'dcmtk', exact: true }).click();
  const line = (await page.getByLabel('the command of dcmtk', { exact: true }).innerText()).trim();
  console.log(`  ${line}`);
  if (!(await send(line))) {
    // A machine that is not known yet is turned away, and shows.
    await page.getByRole('button', { name: 'Admit' }).click({ timeout: ARRIVES_MS })
      .catch(() => { throw new Error('nothing was sent, and no machine waits to be admitted'); });
    stamp('the machine is admitted');
    expect(await send(line), 'what was admitted is turned away');
  }
  stamp('sent');

  at('the study');
  const row = page.locator('.worklist tbody tr').first();
  await row.waitFor({ timeout: ARRIVES_MS }).catch(() => problem('the study does not show by itself'));
  stamp('the study shows');
  await picture(page, 'first-study');
  if (!wanted) return;
  await page.locator('.row-link').first().click();
  await page.locator('.run.succeeded').first().waitFor({ timeout: RESULT_MS }).catch(() => problem('no result shows'));
  stamp('the result shows');
  await picture(page, 'first-result');
});
