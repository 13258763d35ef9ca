// Presses, as a person would, the buttons by which something that stopped goes
// on, and looks for what they do on the page and on the server.
//
//   HILUM_FAILED       a study whose run has failed and can succeed now
//   HILUM_GIVEN_UP     a study whose delivery was given up and can arrive now
//
// and what `browser.mjs` reads. Besides, Hilum holds a patient conflict, an
// instance conflict and an item in quarantine that is taken in now.

import { answer, expect, open, picture, problem, visit, walk } from './browser.mjs';

const RUN_MS = 60_000;
const { HILUM_FAILED: failed, HILUM_GIVEN_UP: givenUp } = process.env;

/** Presses a button, and the Yes that it asks for. */
async function press(page, name, question) {
  const button = page.getByRole('button', { name, exact: true });
  if (!question) return button.click();
  // By keyboard: the answer has the focus when the question shows.
  await button.focus();
  await page.keyboard.press('Enter');
  await page.getByText(question).waitFor({ timeout: 5000 });
  await picture(page, `asked-${name.toLowerCase().replaceAll(' ', '-')}`);
  return page.keyboard.press('Enter');
}

const shows = (page, selector, text, timeout = 15_000) =>
  page.locator(selector, { hasText: text }).first().waitFor({ timeout })
    .catch(() => problem(`${text} does not show`));

const goesAway = (page, selector) =>
  page.waitForSelector(selector, { state: 'detached', timeout: 15_000 })
    .catch(() => problem(`${selector} stays`));

await walk(async () => {
  const page = await open('light', 1280, 860);

  // Both stand among what was given up; the run starts anew from there.
  await visit(page, '/jobs', '.card', 'jobs-given-up');
  await page.locator('.card').nth(1).waitFor({ timeout: 15_000 }).catch(() => problem('not both are listed'));
  await page.locator('.card', { hasText: 'Run: ' }).getByRole('button', { name: 'Try again' }).click();
  await page.locator('.card', { hasText: 'Run: ' }).waitFor({ state: 'detached', timeout: 15_000 }).catch(() => problem('the run stays given up'));
  await picture(page, 'jobs-started-anew');
  await visit(page, `/studies/${failed}`, '.run', 'run-again');
  await shows(page, '.run.succeeded', 'Done', RUN_MS);
  await picture(page, 'run-again-done');
  const [run, ...others] = (await answer(`/runs?study_uid=${failed}`)).items;
  expect(run.state === 'succeeded' && others.length === 0, `the run is ${run.state}, and ${others.length} others are there`);

  await visit(page, `/studies/${givenUp}`, '.delivery', 'delivery-given-up');
  await press(page, 'Deliver again');
  await shows(page, '.delivery', 'Delivered', RUN_MS);
  await picture(page, 'deliver-again-done');

  await visit(page, '/jobs', '.empty', 'jobs-none');

  await visit(page, '/conflicts', '.conflict', 'conflicts-open');
  // Those of patients and those of images come with answers of their own.
  await page.locator('.conflict').nth(1).waitFor({ timeout: 15_000 }).catch(() => problem('there are not two conflicts'));
  await press(page, 'The second is right', 'is right?');
  await goesAway(page, 'section[aria-labelledby=patients]');
  await picture(page, 'patient-decided');
  await press(page, 'Show the second', 'Show the second from now on?');
  await page.getByText('No conflicts').waitFor({ timeout: 15_000 }).catch(() => problem('conflicts stay'));
  await picture(page, 'conflicts-decided');

  await visit(page, '/quarantine', '.card', 'quarantine-full');
  await press(page, 'Try again');
  await page.getByText('Nothing in quarantine').waitFor({ timeout: 15_000 }).catch(() => problem('the item stays'));
  await picture(page, 'quarantine-taken-in');

  await visit(page, '/', '.worklist tbody tr', 'worklist-after');
});
