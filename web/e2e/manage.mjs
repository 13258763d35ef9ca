// Changes, as a person would, what of a series is wrong, deletes another, moves
// one to a new study and merges that into the first, merges its patient into
// another one and takes that back; looks for what it does on the
// page, on the server and in what left the archive.
//
//   HILUM_STUDY        a study with one series, which is corrected
//   HILUM_SURVIVING    a study of another patient, whose Patient ID stays
//   HILUM_DELETED      a study with two series, of which the first is deleted
//
// and what `browser.mjs` reads.

import { answer, expect, mayBeGone, open, picture, problem, visit, walk } from './browser.mjs';

const { HILUM_STUDY: study, HILUM_DELETED: deleted, HILUM_SURVIVING: surviving } = process.env;

mayBeGone(url => /\/(dicomweb|api\/v1)\/studies\//.test(url));

const shows = (page, text) =>
  page.getByText(text, { exact: false }).first().waitFor({ timeout: 15_000 })
    .catch(() => problem(`${text} does not show`));

/** Opens a series' dialogue by keyboard; the dialogue has the focus then. */
async function dialogue(page, name, title) {
  await page.getByText('Manage this series').first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name, exact: true }).first().focus();
  await page.keyboard.press('Enter');
  return openedBy(page, title);
}

async function openedBy(page, title) {
  const opened = page.getByRole('dialog', { name: title }).first();
  await opened.waitFor({ timeout: 5000 }).catch(() => problem(`${title} does not open`));
  const inside = await opened.evaluate(one => one.contains(document.activeElement));
  expect(inside, `${title} does not take the focus`);
  return opened;
}

async function mergesPatients(page) {
  const { patient: prior } = await answer(`/studies/${study}`);
  const { patient: stays } = await answer(`/studies/${surviving}`);
  const name = 'Merge these patients';
  await page.getByRole('button', { name: 'Merge patients…' }).focus();
  await page.keyboard.press('Enter');
  const merge = await openedBy(page, name);
  const does = merge.getByRole('button', { name });
  await merge.getByLabel('Why?').fill('registered twice');
  await merge.getByLabel('The other Patient ID').fill(prior.id);
  await shows(merge, 'This is the Patient ID of this study');
  expect(await does.isDisabled(), 'a patient can be merged into itself');
  await merge.getByLabel('The other Patient ID').fill(stays.id);
  await shows(merge, stays.name);
  expect(await merge.getByRole('radio').first().isChecked(), 'the other Patient ID is not the one that stays');
  await picture(page, 'patients-merge');
  const small = await open('dark', 390, 844);
  await visit(small, `/studies/${study}`, '.series', 'patients-merge-small');
  await small.getByRole('button', { name: 'Merge patients…' }).click();
  await small.getByLabel('The other Patient ID').fill(stays.id);
  await shows(small, stays.name);
  await picture(small, 'patients-merge-dark-390');
  await small.context().close();
  await does.click();
  await merge.waitFor({ state: 'hidden', timeout: 15_000 }).catch(() => problem('the dialogue stays'));
  const title = `Patient ${prior.id} was merged into ${stays.id}`;
  await shows(page, title);
  await page.getByText(title).scrollIntoViewIfNeeded();
  await picture(page, 'patients-merged');
  const merged = (await answer(`/studies/${study}`)).patient;
  expect(merged.id === stays.id && merged.name === stays.name, `the study is of ${merged.id}`);

  await visit(page, '/status', '#patient-merges', 'status-merges');
  await shows(page, title);
  const entry = page.locator('.merge', { hasText: title });
  await entry.getByRole('button', { name: 'Take back' }).click();
  await picture(page, 'patients-take-back');
  await entry.getByRole('button', { name: 'Yes' }).click();
  await entry.waitFor({ state: 'detached', timeout: 15_000 }).catch(() => problem('the merge stays'));
  await shows(page, 'No patients are merged.');
  await picture(page, 'patients-taken-back');
  const again = (await answer(`/studies/${study}`)).patient;
  expect(again.id === prior.id && again.name === prior.name, `the study is of ${again.id}, not given back`);
}

await walk(async () => {
  const page = await open('light', 1280, 860);
  await visit(page, `/studies/${study}`, '.series', 'series-before');
  const correct = await dialogue(page, 'Correct series…', 'Correct this series');
  const does = correct.getByRole('button', { name: 'Correct this series' });
  expect(await does.isDisabled(), 'nothing can be corrected without a change');
  await correct.getByLabel('Description').fill('Corrected by hand');
  await correct.getByLabel('Why?').fill('the protocol was mistyped');
  await picture(page, 'series-correct');
  await page.keyboard.press('Enter');
  await correct.waitFor({ state: 'hidden', timeout: 15_000 }).catch(() => problem('the dialogue stays'));
  await shows(page, 'Corrected by hand');
  await shows(page, 'the protocol was mistyped');
  await page.locator('#corrections').scrollIntoViewIfNeeded();
  await picture(page, 'series-corrected');
  const [series] = (await answer(`/studies/${study}`)).series;
  expect(series.description === 'Corrected by hand', `the server says ${series.description}`);

  await visit(page, `/studies/${deleted}`, '.series', 'series-to-delete');
  const remove = await dialogue(page, 'Delete series…', 'Delete this series');
  await picture(page, 'series-delete');
  await page.keyboard.press('Escape');
  await remove.waitFor({ state: 'hidden', timeout: 5000 }).catch(() => problem('Escape does not close it'));
  await page.getByRole('button', { name: 'Delete series…', exact: true }).first().click();
  await remove.getByLabel('Why?').fill('sent to the wrong hospital');
  await remove.getByRole('button', { name: 'Delete this series' }).click();
  await remove.waitFor({ state: 'detached', timeout: 15_000 }).catch(() => problem('the deleted series stays'));
  await picture(page, 'series-deleted');
  const left = (await answer(`/studies/${deleted}`)).series;
  expect(left.length === 1, `${left.length} series are left`);

  const move = await dialogue(page, 'Move series…', 'Move this series');
  const goes = move.getByRole('button', { name: 'Move this series' });
  await move.getByLabel('Where does it belong?').selectOption({ label: 'A new study' });
  await move.getByLabel('Patient ID').fill('68');
  await move.getByLabel('Why?').fill('scanned under the wrong patient');
  expect(await goes.isEnabled(), 'what is filled in can not be moved');
  await picture(page, 'series-move');
  await goes.click();
  await page.waitForURL(address => !address.pathname.endsWith(deleted), { timeout: 15_000 })
    .catch(() => problem('the page does not go where the series went'));
  await page.waitForSelector('.series', { timeout: 15_000 }).catch(() => problem('the moved series does not show'));
  await picture(page, 'series-moved');
  const made = new URL(page.url()).pathname.split('/').at(-1);
  const there = await answer(`/studies/${made}`);
  expect(there.patient.id === '68' && there.series.length === 1, `the new study is of ${there.patient.id}`);

  await page.getByRole('button', { name: 'Merge into another study…' }).click();
  const merge = await openedBy(page, 'Merge this study');
  await merge.getByLabel('Where does it belong?').selectOption({ label: 'Another study, by its UID' });
  await merge.getByLabel('Study Instance UID').fill(study);
  await merge.getByLabel('Why?').fill('one examination under two numbers');
  await picture(page, 'study-merge');
  await merge.getByRole('button', { name: 'Merge this study' }).click();
  await page.waitForURL(`**/studies/${study}`, { timeout: 15_000 }).catch(() => problem('the page does not go to the other study'));
  await shows(page, 'Corrected by hand');
  await picture(page, 'study-merged');
  const both = await answer(`/studies/${study}`);
  expect(both.series.length === 2 && both.patient.id === '66', `${both.series.length} series of ${both.patient.id} are there`);

  await mergesPatients(page);

  for (const [scheme, width, height] of [['light', 1280, 860], ['dark', 1280, 860], ['light', 390, 844]]) {
    const other = await open(scheme, width, height);
    await visit(other, '/admin/storage', '.departures', `storage-${scheme}-${width}`);
    await shows(other, 'sent to the wrong hospital');
    await other.locator('#departures').scrollIntoViewIfNeeded();
    await picture(other, `departures-${scheme}-${width}`);
    await other.context().close();
  }
});
