import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type HttpRig, ok, startRig } from '../harness/http-rig.ts';
import { type Browser, startBrowser, whyNoBrowser } from './browser.ts';

/** What pages of other sites reach in the browser of a user of this service. */

const missing = whyNoBrowser();
const TOKEN = 'a-token-of-sixteen-characters';

/** Names of sites that all lead to this machine, as one's own name server may say. */
const RESOLVER = '--host-resolver-rules=MAP *.example 127.0.0.1';

let browser: Browser | null = null;
let site: Server;
let page: Page;
let rig: HttpRig;
beforeAll(async () => {
  if (missing === null) browser = await startBrowser(RESOLVER);
  site = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>foreign</title><body></body>');
  }).listen(0, '127.0.0.1');
});
afterAll(async () => {
  site.close();
  await browser?.close();
});

const portOf = (server: Server) => (server.address() as AddressInfo).port;
const service = (host = '127.0.0.1') => `http://${host}:${portOf(rig.app.server)}`;

/** Statuses that requests of a method to a path were answered so far. */
const answered = (method: string, url: string) =>
  rig.lines.filter((line) => line.method === method && line.url === url).map(({ status }) => status);

describe.skipIf(missing !== null).each([
  ['without a token', ''],
  ['with a token that the browser knows', TOKEN],
])('a service %s', (_what, authToken) => {
  beforeEach(async () => {
    rig = await startRig({ logLevel: 'debug', authToken });
    await rig.app.listen({ host: '127.0.0.1', port: 0 });
    await browser!.context.setHTTPCredentials(
      authToken === '' ? null : { username: 'me', password: authToken },
    );
    await ok(rig.post('containers', { container: 'mine' }));
    page = await browser!.context.newPage();
  });
  afterEach(async () => {
    rig.app.server.closeAllConnections();
    await page.close();
    await rig.app.close();
  });

  const isThere = async () => (await rig.get('containers/mine')).status === 200;
  const answers = async (method: string, url: string, count: number) => {
    await expect.poll(() => answered(method, url).length, { timeout: 30_000 }).toBe(count);
    return answered(method, url);
  };

  test('answers 403 to what a page of another site posts without a body, and nothing has changed', async () => {
    await page.goto(`http://evil.example:${portOf(site)}/`);
    const reset = `${service()}/v1/reset`;
    // As its own user, who has been asked for the token before.
    await page.evaluate(
      (url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include' }).catch(() => {}),
      reset,
    );
    // Where a browser is to bring a token Playwright looks at each request, and beacons get lost then.
    const beacons = authToken === '' ? 1 : 0;
    if (beacons > 0) await page.evaluate(`navigator.sendBeacon('${reset}')`);
    const refused = Array.from({ length: beacons + 1 }, () => 403);
    expect(await answers('POST', '/v1/reset', beacons + 1)).toEqual(refused);
    await page.setContent(`<form method="post" action="${reset}"><button>go</button></form>`);
    await page.locator('button').click();
    expect(await answers('POST', '/v1/reset', beacons + 2)).toEqual([...refused, 403]);
    expect(await isThere()).toBe(true);
  });

  test('answers 403 to a page of another port of its own host', async () => {
    await page.goto(`http://127.0.0.1:${portOf(site)}/`);
    await page.evaluate(
      (url) => fetch(url, { method: 'POST', mode: 'no-cors' }).catch(() => {}),
      `${service()}/v1/reset`,
    );
    expect(await answers('POST', '/v1/reset', 1)).toEqual([403]);
    expect(await isThere()).toBe(true);
  });

  test('shows nothing to a page of another site that reads', async () => {
    await page.goto(`http://evil.example:${portOf(site)}/`);
    const read = await page.evaluate(
      (url) =>
        fetch(url).then(
          (response) => response.text(),
          () => null,
        ),
      `${service()}/v1/snapshot`,
    );
    expect(read).toBe(null);
  });

  test('answers 421 to a name that somebody else had resolve to it', async () => {
    const response = await page.goto(`${service('rebound.example')}/v1/snapshot?secrets=1`);
    expect(response!.status()).toBe(421);
    const text = await page.evaluate(() => fetch('/v1/containers').then((answer) => answer.text()));
    expect(text).toContain('urn:vfio-host:problem:unknown-host');
    expect(text).not.toContain('mine');
    const posted = await page.evaluate(() =>
      fetch('/v1/reset', { method: 'POST' }).then(({ status }) => status),
    );
    expect(posted).toBe(421);
    expect(await isThere()).toBe(true);
  });

  test('has a page of its own that shows and changes it', async () => {
    await page.goto(`${service('localhost')}/`);
    await page.locator('#state[data-state="live"]').waitFor();
    await page.locator('article[data-container="mine"]').waitFor();
    const posted = await page.evaluate(() =>
      fetch('/v1/reset', { method: 'POST' }).then(({ status }) => status),
    );
    expect(posted).toBe(204);
    expect(await isThere()).toBe(false);
  });
});
