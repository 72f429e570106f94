import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ASYNC, ok, useRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();

const FOLDER = new URL('../../ui/', import.meta.url);
const FILES = readdirSync(FOLDER).filter((name) => name !== 'index.html' && name !== 'tsconfig.json');
const layout = (container: string) => ok(rig.request('GET', `/ui/containers/${container}/layout`));

test('GET / is HTML under a strict policy, with no script or style of its own', async () => {
  const { statusCode, headers, body } = await rig.app.inject({ url: '/' });
  expect(statusCode).toBe(200);
  expect(headers['content-type']).toBe('text/html; charset=utf-8');
  const policy = String(headers['content-security-policy']).split('; ');
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy.join()).not.toMatch(/unsafe|https?:|data:|\*/);
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(body).not.toMatch(/<style|style=|\son[a-z]+=|<script(?![^>]*\ssrc=)|https?:\/\//);
});

test('each file of the page is served with its type, and nothing else is', async () => {
  const types: Record<string, string> = {
    js: 'text/javascript; charset=utf-8',
    css: 'text/css; charset=utf-8',
    svg: 'image/svg+xml',
  };
  for (const name of FILES) {
    const { statusCode, headers } = await rig.app.inject({ url: `/ui/${name}` });
    expect([name, statusCode, headers['content-type']]).toEqual([name, 200, types[name.split('.').at(-1)!]]);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
  }
});

test.each([
  '/ui',
  '/ui/',
  '/ui/index.html',
  '/ui/tsconfig.json',
  '/ui/../package.json',
  '/ui/..%2fpackage.json',
  '/ui/%2e%2e/package.json',
  '/ui/containers',
  '/index.html',
])('GET %s is served by no route', async (url) => {
  const { statusCode, headers } = await rig.app.inject({ url });
  expect([statusCode, headers['content-type']]).toEqual([404, 'application/problem+json; charset=utf-8']);
});

test('a file that is known already is not sent again', async () => {
  const first = await rig.app.inject({ url: '/ui/main.js' });
  expect(first.headers['cache-control']).toBe('no-cache');
  const etag = String(first.headers.etag);
  const again = await rig.app.inject({ url: '/ui/main.js', headers: { 'if-none-match': `"x", W/${etag}` } });
  expect([again.statusCode, again.body]).toEqual([304, '']);
  const other = await rig.app.inject({ url: '/ui/main.js', headers: { 'if-none-match': '"x"' } });
  expect([other.statusCode, other.body]).toEqual([200, first.body]);
});

test('the page is no part of the documented API', async () => {
  const { paths } = await ok(rig.request('GET', '/openapi.json'));
  expect(Object.keys(paths).filter((path) => path === '/' || path.startsWith('/ui'))).toEqual([]);
});

test('a layout has every mapping, exact to 64 bits, and the journal’s seq', async () => {
  await rig.container(synthetic('unpin-range'));
  await rig.map('0x0', '0x1000');
  await rig.map('0x20000000001000', '0x3000');
  const top = { iova: '0xffffffffffffd000', vaddr: '0x7ffffffff000', size: '0x1000', flags: ['read'] };
  await ok(rig.post('containers/c0/map-dma', top));
  const got = await layout('c0');
  expect(got.mappings).toEqual({
    iova: ['0x0', '0x20000000001000', '0xffffffffffffd000'],
    size: ['0x1000', '0x3000', '0x1000'],
    vaddr: ['0x0', '0x20000000001000', '0x7ffffffff000'],
    flags: [3, 3, 1],
  });
  const { body } = await rig.get('containers/c0/mappings');
  expect(got.mappings.iova).toEqual(body.mappings.map((mapping: { iova: string }) => mapping.iova));
  const { seq } = await ok(rig.request('GET', '/v1'));
  expect(got).toMatchObject({ container: 'c0', rig: 'default', seq, complete: true, wedged: null });
});

test('pins come as runs of the same holders, with who holds how many', async () => {
  await rig.container(synthetic('unpin-range'));
  await rig.create('d1', synthetic('unpin-range'));
  await ok(rig.post('devices/d1/open-device'));
  await rig.map('0x10000', '0x10000');
  await rig.map('0x30000', '0x1000');
  await ok(rig.post('devices/d0/pin-pages', { iova: '0x10000', npage: 4, prot: ['read'] }));
  await ok(rig.post('devices/d1/pin-pages', { iova: '0x12000', npage: 1, prot: ['read'] }));
  await ok(rig.post('devices/d1/pin-pages', { iova: '0x12000', npage: 1, prot: ['read'] }));
  await rig.pin('0x30000', 'd1');
  const { pins, holders } = await layout('c0');
  const runs = pins.iova.map((iova: string, i: number) => [
    pins.mapping[i],
    iova,
    pins.pages[i],
    holders[pins.holders[i]],
  ]);
  const d0 = { device: 'd0', count: 1 };
  expect(runs).toEqual([
    [0, '0x10000', 2, [d0]],
    [0, '0x12000', 1, [d0, { device: 'd1', count: 2 }]],
    [0, '0x13000', 1, [d0]],
    [1, '0x30000', 1, [{ device: 'd1', count: 1 }]],
  ]);
  const listed = (await rig.get('containers/c0/pins')).body.pins as { iova: string; pfn: string }[];
  expect(pins.pfn[1]).toBe(listed.find(({ iova }) => iova === '0x12000')!.pfn);
});

test('a layout says what is wedged and what has no IOMMU', async () => {
  await rig.container(synthetic('ignore'));
  await rig.bug();
  expect((await layout('c0')).wedged).toMatchObject({ kind: 'BUG_ON' });
  await ok(rig.post('containers', { container: 'c1' }));
  expect(await layout('c1')).toMatchObject({ iommu: null, mappings: { iova: [] }, pins: { iova: [] } });
});

test('a layout is of the rig that is named; looking makes none', async () => {
  await rig.request('POST', '/v1/containers', { container: 'c5' }, { 'x-rig': 'other' });
  const other = await rig.request('GET', '/ui/containers/c5/layout', undefined, { 'x-rig': 'other' });
  expect(other.body).toMatchObject({ rig: 'other', container: 'c5' });
  for (const [container, name] of [
    ['c5', 'absent'],
    ['c6', 'other'],
  ]) {
    const gone = await rig.request('GET', `/ui/containers/${container}/layout`, undefined, {
      'x-rig': name!,
    });
    expect([gone.status, gone.body]).toEqual([204, {}]);
  }
  expectProblem(await rig.request('GET', '/ui/containers/C%20/layout'), { status: 400 });
  expectProblem(await rig.request('GET', '/ui/containers/c5/layout?x=1'), { status: 400 });
  const { rigs } = await ok(rig.get('rigs'));
  expect(rigs.map((one: { rig: string }) => one.rig)).toEqual(['other']);
});

test('a rig in one look: containers, devices and what waits, also where its entries have left the journal', async () => {
  await rig.start({ maxJournal: 10 });
  await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
  await ok(
    rig.post('devices', {
      device: 'spare',
      driver: { type: 'webhook', url: 'http://127.0.0.1:1/', secret: 's' },
    }),
  );
  await rig.map('0x10000', '0x4000');
  await rig.pin('0x10000');
  await rig.unmap('0x10000', '0x4000', ASYNC);
  for (let i = 0; i < 20; i++) await ok(rig.post('containers/c0/check-extension', { extension: 1 }));
  const { body } = await rig.request('GET', '/ui/rig');
  const { seq } = await ok(rig.request('GET', '/v1'));
  expect(body).toEqual({
    rig: 'default',
    seq,
    oldest: seq - 9,
    kernel: '6.1',
    taint: [],
    containers: [{ container: 'c0', wedged: false }],
    devices: [
      {
        device: 'd0',
        kind: 'mdev',
        driver: 'synthetic',
        group: 'g0',
        groupOpen: true,
        openCount: 1,
        container: 'c0',
      },
      {
        device: 'spare',
        kind: 'mdev',
        driver: 'webhook',
        group: 'g1',
        groupOpen: false,
        openCount: 0,
        container: null,
      },
    ],
    pending: [
      {
        seq: expect.any(Number),
        call: { call: 'unmap-dma', container: 'c0', iova: '0x10000', size: '0x4000' },
        container: 'c0',
        waitingMs: expect.any(Number),
        callback: { device: 'd0', iova: '0x10000', length: '0x4000', attempt: 1 },
      },
    ],
  });
  expect(body.pending[0].seq).toBeLessThan(body.oldest);
  await ok(rig.post('devices/d0/resume-callbacks'));
  expect((await rig.request('GET', '/ui/rig')).body.pending).toEqual([]);
});

test('a rig that is not there is nothing to look at, and is not made', async () => {
  const absent = await rig.request('GET', '/ui/rig', undefined, { 'x-rig': 'absent' });
  expect([absent.status, absent.body]).toEqual([204, {}]);
  expect((await ok(rig.get('rigs'))).rigs).toEqual([]);
  expectProblem(await rig.request('GET', '/?x=1'), { status: 400 });
});
