import { afterAll, beforeAll, expect, test } from 'vitest';
import { ok, useOneRig } from '../harness/http-rig.ts';
import { type Browser, startBrowser, whyNoBrowser } from './browser.ts';

const TOKEN = 'a-token-of-sixteen-characters';
const missing = whyNoBrowser();

const rig = useOneRig({ authToken: TOKEN });
let browser: Browser | null = null;
let origin: string;
beforeAll(async () => {
  if (missing === null) browser = await startBrowser();
  await rig.listen();
  origin = rig.url;
});
afterAll(() => browser?.close());

test('without the token the answer says what a browser is to be told', async () => {
  const answer = await fetch(`${origin}/`);
  expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
    401,
    'Basic realm="vfio-host", Bearer',
  ]);
  expect(((await answer.json()) as { detail: string }).detail).toContain(
    'in the dialogue of a browser, any name with the token as the password',
  );
});

test.skipIf(missing !== null)('with the token in its dialogue a browser shows the page, live', async () => {
  await browser!.context.setHTTPCredentials({ username: 'me', password: TOKEN });
  const page = await browser!.context.newPage();
  await page.goto(`${origin}/`);
  await page.locator('#state[data-state="live"]').waitFor();
  await ok(rig.post('containers', { container: 'mine' }));
  await page.locator('article[data-container="mine"]').waitFor();
  await page.close();
});
