import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { useOneRig } from '../harness/http-rig.ts';

const FOLDER = fileURLToPath(new URL('../../examples/drivers/', import.meta.url));
const LANGUAGES = [
  ['Node', process.execPath, 'driver.mjs'],
  ['Python', 'python3', 'driver.py'],
] as const;
const hasPython = spawnSync('python3', ['--version']).status === 0;
/** Pages of the first device: none is the first of the mapping. */
const SCATTERED = ['0x12000', '0x15000', '0x1f000'];

const service = useOneRig();
let url: string;
const running: ChildProcess[] = [];

beforeAll(async () => {
  await service.listen();
  url = service.url;
});
afterEach(async () => {
  await Promise.all(
    running.splice(0).map(async (child) => {
      if (child.exitCode !== null) return;
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      expect(code).toBe(0);
    }),
  );
});

/** Starts a driver in a rig of its own; its URL. */
async function start(
  program: string,
  file: string,
  answer: string,
): Promise<{ rig: string; driver: string }> {
  const rig = `${file}-${answer}`;
  const child = spawn(program, [`${FOLDER}${file}`, answer], {
    env: { ...process.env, VFIO_HOST_URL: url, RIG: rig, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.push(child);
  const [driver] = (await once(createInterface(child.stdout!), 'line')) as [string];
  return { rig, driver };
}

/** A container with 16 pages mapped at 0x10000, of which the driver has pinned some; and its unmap. */
async function unmapWith(rig: string, driver: string, pages: readonly string[]) {
  const headers = { 'x-rig': rig };
  const ok = async (path: string, body: object) => {
    const answer = await service.http('POST', path, body, headers);
    expect(answer.status, `${path} ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  };
  await ok('/v1/reset', {});
  await ok('/v1/containers', { container: 'c0' });
  await ok('/v1/devices', { device: 'd0', driver: { type: 'webhook', url: driver } });
  await ok('/v1/containers/c0/attach', { device: 'd0' });
  await ok('/v1/containers/c0/map-dma', { iova: 0x10000, vaddr: '0x7f0000000000', size: 0x10000, flags: 3 });
  for (const iova of pages) {
    const response = await fetch(`${driver}map`, {
      method: 'POST',
      body: JSON.stringify({ device: 'd0', iova }),
    });
    expect(response.status, await response.clone().text()).toBe(200);
  }
  const range = { iova: 0x10000, size: 0x10000 };
  const { body } = await service.http('POST', '/v1/containers/c0/unmap-dma', range, headers);
  const { pins } = (await service.http('GET', '/v1/containers/c0/pins', undefined, headers)).body;
  return {
    killed: body.killed === true,
    callbacks: (body.invalidations as unknown[]).length,
    left: (pins as { iova: string }[]).map(({ iova }) => iova),
    advisories: ((body.advisories ?? []) as { kind: string }[]).map(({ kind }) => kind),
  };
}

test('python3 is there where tests must not be left out', () => {
  if (process.env.CI) expect(hasPython).toBe(true);
});

describe.each(LANGUAGES)('the drivers of the examples, %s', (language, program, file) => {
  const it = test.skipIf(language === 'Python' && !hasPython);

  it('walk: one callback releases all, wherever they lie', async () => {
    const { rig, driver } = await start(program, file, 'walk');
    expect(await unmapWith(rig, driver, SCATTERED)).toEqual({
      killed: false,
      callbacks: 1,
      left: [],
      advisories: [],
    });
  });

  it('walk: what lies outside the range stays, and a page asked for twice is pinned once', async () => {
    const { rig, driver } = await start(program, file, 'walk');
    await unmapWith(rig, driver, ['0x12000', '0x12800']);
    const headers = { 'x-rig': rig };
    for (const iova of ['0x20000', '0x30000']) {
      const body = { iova, vaddr: '0x7f0000000000', size: 0x1000, flags: 3 };
      expect((await service.http('POST', '/v1/containers/c0/map-dma', body, headers)).status).toBe(200);
      await fetch(`${driver}map`, { method: 'POST', body: JSON.stringify({ device: 'd0', iova }) });
    }
    const range = { iova: '0x20000', size: '0x1000' };
    expect((await service.http('POST', '/v1/containers/c0/unmap-dma', range, headers)).status).toBe(200);
    const { pins } = (await service.http('GET', '/v1/containers/c0/pins', undefined, headers)).body;
    expect(pins).toMatchObject([{ iova: '0x30000', refCount: 1 }]);
  });

  it.each(['first-page', 'nothing'])(
    '%s: eleven callbacks, the BUG_ON, and every pin is left',
    async (answer) => {
      const { rig, driver } = await start(program, file, answer);
      const { advisories, ...seen } = await unmapWith(rig, driver, SCATTERED);
      expect(seen).toEqual({ killed: true, callbacks: 11, left: SCATTERED });
      expect(new Set(advisories)).toEqual(new Set(['IGNORED_INVALIDATION']));
    },
  );

  it('one-page: likewise, and an advisory says that it looked at the first page only', async () => {
    const { rig, driver } = await start(program, file, 'one-page');
    const { advisories, ...seen } = await unmapWith(rig, driver, SCATTERED);
    expect(seen).toEqual({ killed: true, callbacks: 11, left: SCATTERED });
    expect(new Set(advisories)).toEqual(new Set(['IGNORED_INVALIDATION', 'START_ONLY_CHECK']));
  });

  it.each(['first-page', 'one-page'])('%s looks right where the first page is pinned', async (answer) => {
    const { rig, driver } = await start(program, file, answer);
    expect(await unmapWith(rig, driver, ['0x10000'])).toMatchObject({
      killed: false,
      callbacks: 1,
      left: [],
    });
  });

  it('a guest that asks for a page that is not mapped is told why not', async () => {
    const { driver } = await start(program, file, 'walk');
    const body = JSON.stringify({ device: 'nobody', iova: '0x1000' });
    const response = await fetch(`${driver}map`, { method: 'POST', body });
    expect([response.status, JSON.stringify(await response.json())]).toEqual([
      500,
      expect.stringContaining('404'),
    ]);
  });

  it('an unknown answer is no driver', () => {
    const { status, stderr } = spawnSync(program, [`${FOLDER}${file}`, 'all'], { encoding: 'utf8' });
    expect(status).not.toBe(0);
    expect(stderr).toContain('walk | first-page | one-page | nothing');
  });
});
