// Walks through the application and the viewer of a running Hilum with a real
// browser, and fails on what a person would stumble over: errors on the console,
// violations of the content-security policy, requests to other hosts, pages wider
// than the screen, a mask that does not show.
//
//   HILUM_STUDY        a study that has a result (default: the newest one that has)
//
// and what `browser.mjs` reads.

import { answer, at, base, expect, open, picture, problem, visit, walk } from './browser.mjs';

const VIEWER_MS = 90_000;

/** The newest study whose run succeeded, or the newest study. */
async function studyToOpen() {
  if (process.env.HILUM_STUDY) return process.env.HILUM_STUDY;
  const [run] = (await answer('/runs?state=succeeded&limit=1')).items;
  if (run) return run.study_uid;
  return (await answer('/studies?limit=1')).items[0]?.study_uid;
}

/** How many pixels in the middle are tinted: images are grey, only a mask has colour. */
async function tinted(page) {
  const shot = await page.locator('.cornerstone-canvas').first().screenshot();
  return page.evaluate(async png => {
    const picture = await createImageBitmap(new Blob([Uint8Array.from(atob(png), c => c.charCodeAt(0))], { type: 'image/png' }));
    const [width, height] = [picture.width / 2, picture.height / 2];
    const canvas = new OffscreenCanvas(width, height).getContext('2d');
    canvas.drawImage(picture, -width / 2, -height / 2);
    const { data } = canvas.getImageData(0, 0, width, height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 24) count += 1;
    }
    return count;
  }, shot.toString('base64'));
}

async function viewer(page, uid, withMask) {
  at('viewer');
  await page.goto(`${base}/viewer/viewer?StudyInstanceUIDs=${uid}`);
  await page.waitForSelector('.cornerstone-canvas', { timeout: VIEWER_MS }).catch(() => problem('no image shows'));
  let pixels = 0;
  for (const end = Date.now() + VIEWER_MS; withMask && pixels < 500 && Date.now() < end; ) {
    await page.waitForTimeout(1000);
    pixels = await tinted(page);
  }
  if (withMask) expect(pixels >= 500, 'the mask does not show over the images');
  await picture(page, 'viewer');
}

await walk(async () => {
  const uid = await studyToOpen();
  for (const [scheme, width, height] of [['light', 1280, 860], ['dark', 1280, 860], ['light', 390, 844]]) {
    const page = await open(scheme, width, height);
    const name = page_ => `${page_}-${scheme}-${width}`;
    await visit(page, '/', uid ? '.worklist tbody tr' : '.empty.first', name('worklist'));
    expect(await page.getByText('Live', { exact: true }).isVisible(), 'live updates are not connected');
    for (const [path, heading] of [['/conflicts', 'Conflicts'], ['/quarantine', 'Quarantine'], ['/jobs', 'Jobs'], ['/models', 'Models'], ['/status', 'Status']]) {
      await visit(page, path, `h1:text-is("${heading}")`, name(heading.toLowerCase()));
    }
    if (uid) await visit(page, `/studies/${uid}`, '.banner h1', name('study'));
    await page.context().close();
  }

  const page = await open('light', 1280, 860);
  at('keyboard');
  await page.goto(`${base}/`);
  await page.waitForSelector('.worklist, .empty');
  await page.keyboard.press('/');
  expect(await page.evaluate(() => document.activeElement?.id === 'search'), '/ does not focus the search field');
  await page.keyboard.type('zzzz-nobody');
  await page.waitForURL(/patient_name=zzzz-nobody/, { timeout: 5000 }).catch(() => problem('filters do not go into the address'));
  await page.getByText('No study matches').waitFor({ timeout: 5000 }).catch(() => problem('an empty answer does not say so'));
  await page.goBack().catch(() => undefined);

  if (uid) {
    const runs = (await answer(`/runs?study_uid=${uid}`)).items ?? [];
    const mask = runs.some(run => run.state === 'succeeded' && run.result_instances.some(one => one.kind === 'SEG'));
    const wide = await open('dark', 1400, 900);
    await viewer(wide, uid, mask);
  } else {
    console.log('no study yet: the study page and the viewer were not looked at');
  }
});
