import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hasSecrets, shownUrl } from '../../src/drivers/external/redact.ts';
import { freePort } from '../harness/driver-server.ts';
import { type HttpRig, startRig } from '../harness/http-rig.ts';

let rig: HttpRig;
beforeEach(async () => {
  rig = await startRig({ logLevel: 'trace' });
});
afterEach(() => rig.app.close());

/** What nobody may be shown; each is part of a URL, or a secret. */
const SECRETS = ['hush-user', 'hush-word', 'hush-token', 'hush-part', 'hush-key'];

test.each([
  ['http://127.0.0.1:1/hook', 'http://127.0.0.1:1/hook'],
  ['http://u:p@127.0.0.1:1/hook', 'http://[redacted]@127.0.0.1:1/hook'],
  ['https://u@host', 'https://[redacted]@host'],
  ['http://a@b@host/', 'http://[redacted]@host/'],
  ['http://///u:p@host/', 'http://///[redacted]@host/'],
  ['http://\\u:p@host\\x', 'http://\\[redacted]@host\\x'],
  ['http://u:p\n@host/', 'http://[redacted]@host/'],
  ['http://host/a@b', 'http://host/a@b'],
  ['http://host?a@b', 'http://host?[redacted]'],
  ['http://host/p?token=x&y', 'http://host/p?[redacted]'],
  ['http://host/p?', 'http://host/p?'],
  ['http://host/p#x?y', 'http://host/p#[redacted]'],
  ['ftp://u:p@host/', 'ftp://[redacted]@host/'],
  ['no URL at all?', 'no URL at all?'],
])('%j is shown as %j', (url, shown) => {
  expect(shownUrl(url)).toBe(shown);
  expect(hasSecrets({ type: 'webhook', url })).toBe(url !== shown);
  // What is shown has nothing more to hide, and leads to the same host.
  expect(shownUrl(shown)).toBe(shown);
  if (URL.canParse(url)) expect(new URL(shown).host).toBe(new URL(url).host);
});

/** Every path that can be looked at, of the objects of this test. */
function looks(): string[] {
  const { paths } = JSON.parse(readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8')) as {
    paths: Record<string, Record<string, unknown>>;
  };
  const ids: Record<string, string> = {
    container: 'c0',
    device: 'd0',
    group: 'g0',
    process: 'p0',
    operation: 'op0',
    fault: 'f0',
    rig: 'default',
  };
  return Object.entries(paths)
    .filter(([, methods]) => 'get' in methods)
    .map(([path]) => path.replace(/\{(\w+)\}/g, (_all, name: string) => ids[name] ?? name));
}

test('no answer and no line of the log shows the secrets of a webhook', async () => {
  const port = await freePort();
  const url = `http://hush-user:hush-word@127.0.0.1:${port}/hook?token=hush-token#hush-part`;
  const driver = { type: 'webhook', url, secret: 'hush-key', journalBodies: true };
  const seen: string[] = [];
  const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const payload = typeof body === 'object' ? JSON.stringify(body) : (body as string | undefined);
    const type = payload === undefined ? {} : { 'content-type': 'application/json' };
    const all = { ...type, ...headers };
    const answer = await rig.app.inject({
      method: method as 'GET',
      url: path,
      headers: all,
      ...(payload && { payload }),
    });
    seen.push(`${method} ${path}: ${answer.statusCode} ${JSON.stringify(answer.headers)} ${answer.body}`);
    return { status: answer.statusCode, body: answer.body };
  };
  const created = { device: 'd0', driver };
  expect((await ask('POST', '/v1/containers', { container: 'c0' })).status).toBe(201);
  expect((await ask('POST', '/v1/devices', created)).status).toBe(201);
  await ask('POST', '/v1/containers/c0/attach', { device: 'd0' });
  await ask('POST', '/v1/containers/c0/map-dma', { iova: 0, vaddr: 0, size: 4096, flags: 3 });
  await ask('POST', '/v1/devices/d0/pin-pages', { iova: 0, npage: 1, prot: 3 });
  const unmap = { iova: 0, size: 4096 };
  await ask('POST', '/v1/containers/c0/unmap-dma', unmap, { prefer: 'respond-async' });
  await ask('GET', '/v1/operations/op0?wait=1&timeoutMs=9000');
  const { events } = JSON.parse((await ask('GET', '/v1/events?kind=webhook')).body);
  expect(events[0].webhook).toMatchObject({
    outcome: 'failed',
    url: `http://[redacted]@127.0.0.1:${port}/hook?[redacted]#[redacted]`,
  });
  const lines = { 'content-type': 'application/x-ndjson' };
  await ask('POST', '/v1/batch', `${JSON.stringify({ call: 'create-device', ...created })}\n`, lines);
  const lookEverywhere = async () => {
    const paths = looks();
    expect(paths.length).toBeGreaterThan(20);
    for (const path of [...paths, '/', '/ui/rig', '/ui/containers/c0/layout', '/v1/trace?format=curl']) {
      await ask('GET', path, undefined, { accept: path === '/v1/events' ? 'application/json' : '*/*' });
    }
  };
  await lookEverywhere();
  // Refused for each of the reasons there are; the last one is not, and becomes the rig.
  for (const wrong of [
    url.replace('127.0.0.1', '192.0.2.1'),
    url.replace('http', 'ftp'),
    url.replace('hook', 'x'.repeat(3000)),
    `${url}\u0000`,
  ]) {
    const refused = { device: 'd1', driver: { ...driver, url: wrong } };
    const { status } = await ask('POST', '/v1/devices', refused);
    if (!wrong.includes('\u0000')) expect(status).toBe(400);
    await ask('POST', '/v1/batch', `${JSON.stringify({ call: 'create-device', ...refused })}\n`, lines);
    await ask('POST', '/v1/setup', { devices: [refused] });
    await ask('POST', '/v1/explore', { drivers: [refused.driver], depth: 1, seconds: 1 });
    await ask('POST', '/v1/replay', {
      id: 't',
      kernel: '6.1',
      steps: [{ call: 'create-device', ...refused }],
    });
  }
  await lookEverywhere();
  const all = [...seen, ...rig.lines.map((line) => JSON.stringify(line))];
  for (const secret of SECRETS) expect(all.filter((text) => text.includes(secret))).toEqual([]);
});

test('a snapshot without secrets=1 has none of the URL, and is refused until it has', async () => {
  const token = 'a-token-of-some-length';
  await rig.app.close();
  rig = await startRig({ logLevel: 'silent', authToken: token });
  const bearer = { authorization: `Bearer ${token}` };
  const url = 'http://hush-user:hush-word@127.0.0.1:1/hook?token=hush-token';
  await rig.http('POST', '/v1/devices', { device: 'd0', driver: { type: 'webhook', url } }, bearer);
  const { body: shown } = await rig.http('GET', '/v1/snapshot', undefined, bearer);
  expect(JSON.stringify(shown)).not.toContain('hush');
  const refused = await rig.http('PUT', '/v1/snapshot', shown, bearer);
  expect([refused.status, refused.body.detail]).toEqual([
    400,
    expect.stringMatching(/devices\/0\/driver\/url .*secrets=1/),
  ]);
  const { body: told } = await rig.http('GET', '/v1/snapshot?secrets=1', undefined, bearer);
  expect(JSON.stringify(told)).toContain(url);
  expect((await rig.http('PUT', '/v1/snapshot', told, bearer)).status).toBe(204);
});
