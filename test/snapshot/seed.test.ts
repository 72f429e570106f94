import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMPILE_MS, compile, type End, type Program, type Running, start } from '../harness/program.ts';

let program: Program;
let folder: string;
const running: Running[] = [];
beforeAll(() => {
  program = compile();
  folder = mkdtempSync(join(tmpdir(), 'vfio-host-seed-'));
}, COMPILE_MS);
afterAll(async () => {
  for (const one of running) one.kill('SIGKILL');
  await Promise.all(running.map(({ end }) => end));
  program.remove();
  rmSync(folder, { recursive: true });
});

/** Writes a seed; the path of its file. */
function file(name: string, content: string | object): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function launch(args: readonly string[], env: Record<string, string> = {}): Running {
  const one = start(program, args, { PORT: '0', ...env });
  running.push(one);
  return one;
}

const STEPS = [
  { call: 'open-container', container: 'seeded', expect: { errno: null } },
  { call: 'set-iommu', container: 'seeded', type: 3, expect: { errno: 'EINVAL' } },
];
const TRACE = { id: 'seed', kernel: '5.10', steps: STEPS };

// biome-ignore lint/suspicious/noExplicitAny: answers have every shape
type Json = any;

async function get(url: string, path: string, rig = 'default'): Promise<{ status: number; body: Json }> {
  const response = await fetch(`${url}${path}`, { headers: { 'x-rig': rig } });
  return { status: response.status, body: await response.json() };
}

async function post(url: string, path: string, body: object, rig = 'default'): Promise<void> {
  const headers = { 'content-type': 'application/json', 'x-rig': rig };
  const { ok } = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(ok).toBe(true);
}

const containers = async (url: string, rig?: string): Promise<string[]> =>
  (await get(url, '/v1/containers', rig)).body.containers.map((one: Json) => one.container);

describe('--seed-file with a trace', () => {
  test('seeds the default rig before it is ready, every fresh rig, and after a reset, on any kernel', async () => {
    const url = await launch(['--seed-file', file('trace.json', TRACE)]).ready;
    expect((await get(url, '/ready')).status).toBe(200);
    expect((await get(url, '/v1/rigs')).body.rigs).toMatchObject([{ rig: 'default', containers: 1 }]);
    expect((await get(url, '/v1')).body.kernel).toBe('5.10');
    // Only looking makes no rig.
    await post(url, '/v1/reset', {}, 'fresh');
    expect(await containers(url, 'fresh')).toEqual(['seeded']);
    await post(url, '/v1/containers', { container: 'more' });
    await post(url, '/v1/reset', {});
    expect(await containers(url)).toEqual(['seeded']);
    await post(url, '/v1/reset', { kernel: '7.2' });
    expect((await get(url, '/v1')).body.kernel).toBe('7.2');
    expect(await containers(url)).toEqual(['seeded']);
    expect((await get(url, '/v1/trace')).body.steps).toHaveLength(2);
  });
});

describe('SEED_FILE with a snapshot', () => {
  test('seeds likewise, but not a rig that is reset to another kernel', async () => {
    const first = launch(['--seed-file', file('trace.json', TRACE)]);
    const snapshot = (await get(await first.ready, '/v1/snapshot')).body;
    const url = await launch([], { SEED_FILE: file('snapshot.json', snapshot) }).ready;
    expect((await get(url, '/v1/snapshot')).body).toEqual(snapshot);
    await post(url, '/v1/reset', {}, 'fresh');
    expect((await get(url, '/v1/snapshot', 'fresh')).body).toEqual(snapshot);
    await post(url, '/v1/containers', {});
    await post(url, '/v1/reset', {});
    expect((await get(url, '/v1/snapshot')).body).toEqual(snapshot);
    await post(url, '/v1/reset', { kernel: '6.12' });
    expect(await containers(url)).toEqual([]);
  });
});

describe('--seed-file with a setup, or with a batch', () => {
  const SETUP = {
    kernel: '5.10',
    containers: [{ container: 'seeded', mappings: [{ iova: 0, vaddr: 0, size: 4096, flags: ['read'] }] }],
    devices: [{ driver: { type: 'synthetic', onDmaUnmap: 'ignore' }, container: 'seeded' }],
  };
  const CALLS = [
    { call: 'open-container', container: 'seeded' },
    { call: 'create-process', process: 'p7' },
  ];

  test('a setup seeds every rig, on the kernel it names', async () => {
    const url = await launch(['--seed-file', file('setup.json', SETUP)]).ready;
    expect((await get(url, '/v1')).body.kernel).toBe('5.10');
    expect((await get(url, '/v1/containers/seeded')).body.iommu).toMatchObject({ mappings: 1 });
    await post(url, '/v1/reset', { kernel: '7.2' }, 'fresh');
    expect(await containers(url, 'fresh')).toEqual(['seeded']);
  });

  test('a batch seeds on the kernel that is configured, be it of one line', async () => {
    const text = CALLS.map((call) => JSON.stringify(call)).join('\n');
    const url = await launch(['--seed-file', file('calls.ndjson', text)], { KERNEL: '6.12' }).ready;
    expect((await get(url, '/v1')).body.kernel).toBe('6.12');
    expect(await containers(url)).toEqual(['seeded']);
    const one = await launch(['--seed-file', file('call.ndjson', JSON.stringify(CALLS[0]))]).ready;
    expect(await containers(one)).toEqual(['seeded']);
  });
});

describe('a file that cannot be a seed ends the start', () => {
  const end = (args: readonly string[]): Promise<End> => launch(args).end;

  test.each([
    ['nothing there', null, 'ENOENT'],
    ['no JSON', 'hello', 'not JSON'],
    ['no trace', { steps: 1 }, 'scenario/steps is 1'],
    ['two traces', `${JSON.stringify(TRACE)}\n${JSON.stringify(TRACE)}`, 'has 2 traces'],
    ['an unknown kernel', { ...TRACE, kernel: '2.6' }, 'kernel is "2.6"'],
    ['an unknown call', { steps: [{ call: 'fly' }] }, 'fly'],
    ['a trace that goes otherwise', { steps: [{ ...STEPS[0], expect: { errno: 'EIO' } }] }, 'errno is null'],
    ['an unknown field of a setup', { container: [] }, 'setup/container is not a known field'],
    [
      'a setup that is refused',
      { devices: [{ kind: 'vfio-pci', container: 'c9' }] },
      'devices/0/container: there is no container',
    ],
    [
      'a call that fails',
      `${JSON.stringify(STEPS[0])}\n${JSON.stringify({ ...STEPS[1], expect: undefined })}`,
      'step 1: set-iommu: answers EINVAL',
    ],
    [
      'a snapshot of another version',
      { format: 'vfio-host-snapshot', version: 2, kernel: '6.1', state: {} },
      'snapshot/version is 2',
    ],
  ])('%s', async (name, content, says) => {
    const path = content === null ? join(folder, 'absent') : file(`${name}.json`, content);
    const { code, stdout, stderr } = await end(['--seed-file', path]);
    expect(stderr).toContain(path);
    expect(stderr).toContain(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect([code, stdout]).toEqual([64, '']);
  });

  test('a trace that leaves a call under way', async () => {
    const device = 'd0';
    const steps = [
      { call: 'open-container', container: 'c0' },
      { call: 'create-device', device, driver: { type: 'manual', openDevice: true } },
      { call: 'open-group', device },
      { call: 'set-container', device, container: 'c0' },
      { call: 'set-iommu', container: 'c0', type: 3 },
      { call: 'open-device', device, async: 'a0' },
    ];
    const { code, stderr } = await end(['--seed-file', file('pending.json', { steps })]);
    expect(stderr).toContain('open-device of d0 waits for the open-device callback');
    expect(code).toBe(64);
  });
});
