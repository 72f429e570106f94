import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { MACHINE_LIMITS } from '../../src/machine/limits.ts';
import { Machine } from '../../src/machine/machine.ts';
import { setUp, setUpAtOnce, setUpTrace } from '../../src/setup/run.ts';
import { callsOf } from '../../src/setup/steps.ts';
import { ASYNC, ok, useRig } from '../harness/http-rig.ts';
import { ALWAYS } from '../harness/pauses.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();

const RW = ['read', 'write'];
const PAGE = '0x1000';

/** A rig with a bit of everything. */
const SETUP = {
  kernel: '6.12',
  parameters: { dmaEntryLimit: 100 },
  processes: [
    {
      process: 'vmm',
      memlock: 0x10_0000,
      regions: [{ start: '0x100000', size: '0x100000', prot: RW }],
      fill: [{ vaddr: '0x100000', length: 4096, byte: 7 }],
      write: [{ vaddr: '0x101000', data: 'AQI=' }],
    },
  ],
  containers: [
    {
      container: 'guest',
      process: 'vmm',
      mappings: [
        { iova: '0x10000', vaddr: '0x100000', size: '0x4000', flags: RW },
        { iova: '0x20000', vaddr: '0x110000', size: PAGE, flags: ['read'] },
      ],
    },
    { type: 'type1' },
  ],
  devices: [
    {
      device: 'm0',
      driver: synthetic('unpin-range'),
      container: 'guest',
      pins: [{ iova: '0x10000', npage: 2, prot: RW }],
    },
    { kind: 'vfio-pci', container: 'c0' },
    { driver: synthetic('ignore') },
  ],
  faults: [{ on: 'map-dma', nth: 2, errno: 'ENOMEM' }],
};

/** All that can be told of a rig. */
async function everything(): Promise<unknown> {
  const seen = await Promise.all(
    ['snapshot', 'trace', 'events?limit=10000', 'verdict', 'operations/op0', 'faults'].map((path) =>
      rig.get(path),
    ),
  );
  const host = await rig.request('GET', '/v1');
  return [...seen, host].map(({ body: { instance: _, ...body } }) => body);
}

describe('a setup', () => {
  test('makes everything that it says, and answers the ids', async () => {
    const { status, body } = await rig.post('setup', SETUP);
    expect(body).toEqual({
      rig: 'default',
      kernel: '6.12',
      calls: 23,
      processes: ['p0', 'vmm'],
      containers: ['guest', 'c0'],
      devices: [
        { device: 'm0', group: 'g0', container: 'guest' },
        { device: 'd0', group: 'g1', container: 'c0' },
        { device: 'd1', group: 'g2', container: null },
      ],
      faults: ['f0'],
    });
    expect(status).toBe(201);
    expect((await rig.request('GET', '/v1')).body).toMatchObject({
      kernel: '6.12',
      parameters: { dmaEntryLimit: 100 },
    });
    expect((await rig.get('processes/vmm')).body).toMatchObject({
      memlock: '0x100000',
      capIpcLock: false,
      lockedPages: 2,
    });
    expect(
      (await rig.post('devices/m0/dma-rw', { iova: '0x11000', write: false, length: 2 })).body.data,
    ).toBe('AQI=');
    expect((await rig.get('containers/guest')).body.iommu).toMatchObject({ type: 3, mappings: 2, pins: 2 });
    expect((await rig.get('containers/c0')).body.iommu).toMatchObject({ type: 1 });
    expect((await rig.get('devices/d0')).body).toMatchObject({ openCount: 1, container: 'c0' });
    expect((await rig.get('devices/d1')).body).toMatchObject({ openCount: 0, container: null });
  });

  test('is made as calls: its trace replays to the same, and the same setup gives the same state', async () => {
    await ok(rig.post('setup', SETUP));
    const trace = (await rig.get('trace')).body;
    expect(trace.steps).toHaveLength(23);
    expect((await rig.post('replay', trace)).body.differences).toEqual([]);
    const { body: snapshot } = await rig.get('snapshot');
    await ok(rig.post('setup', SETUP));
    expect((await rig.get('snapshot')).body).toEqual(snapshot);
    await ok(rig.post('reset', { kernel: '6.12' }));
    await rig.app.inject({
      method: 'POST',
      url: '/v1/batch',
      headers: { 'content-type': 'application/x-ndjson' },
      payload: trace.steps.map((step: object) => `${JSON.stringify(step)}\n`).join(''),
    });
    expect((await rig.get('snapshot')).body).toEqual(snapshot);
  });

  test('replaces what was there: ids from 0, the journal its own, calls under way given up', async () => {
    await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
    await rig.map('0x10000', PAGE);
    await rig.pin('0x10000');
    const waiting = rig.unmap('0x10000', PAGE);
    const { body } = await rig.post('setup', { containers: [{}] });
    expect(body).toMatchObject({ kernel: '6.1', containers: ['c0'], devices: [], calls: 1 });
    expectProblem(await waiting, { status: 503, slug: 'abandoned', detail: ['the host was set up anew'] });
    expect((await rig.get('events')).body.events.map(({ kind }: { kind: string }) => kind)).toEqual([
      'call',
      'answer',
    ]);
  });

  test('of nothing is a rig as after a reset', async () => {
    await ok(rig.post('containers', {}));
    expect((await rig.post('setup')).body).toMatchObject({ calls: 0, containers: [], devices: [] });
  });

  test('devices of one group are brought into a container together', async () => {
    const pci = { kind: 'vfio-pci', group: 'both', container: 'c0' };
    const { body } = await rig.post('setup', { containers: [{}], devices: [pci, { ...pci }] });
    expect(body.devices.map(({ group, container }: Record<string, string>) => [group, container])).toEqual([
      ['both', 'c0'],
      ['both', 'c0'],
    ]);
    expect((await rig.get('devices/d1')).body.openCount).toBe(1);
  });

  test('waits for a webhook that is called at open', async () => {
    const calls: string[] = [];
    const driver: Server = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (text) => calls.push(JSON.parse(text).call));
      request.on('end', () => response.end());
    });
    await new Promise<void>((resolve) => driver.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(driver.address() as AddressInfo).port}/`;
    const setup = {
      containers: [{}],
      devices: [{ driver: { type: 'webhook', url, openDevice: true }, container: 'c0' }],
    };
    expect((await rig.post('setup', setup)).status).toBe(201);
    expect(calls).toEqual(['open-device']);
    driver.close();
    driver.closeAllConnections();
  });
});

describe('a setup that is refused leaves everything exactly as it was, and names the place', () => {
  const mapping = { iova: '0x10000', vaddr: '0x100000', size: PAGE, flags: RW };
  const inside = { driver: synthetic('ignore'), container: 'c0' };
  const REFUSED: [
    string,
    object,
    { status: number; errno?: string; slug?: string },
    string,
    string | RegExp,
  ][] = [
    ['an unknown field', { container: [] }, { status: 400 }, '', 'body/container is not a known field'],
    [
      'a wrong value',
      { containers: [{ mappings: [{ ...mapping, size: -1 }] }] },
      { status: 400 },
      '',
      'body/containers/0/mappings/0/size is -1',
    ],
    ['an unknown kernel', { kernel: '4.4' }, { status: 400 }, '', 'kernel is "4.4"'],
    [
      'an overlapping mapping',
      { containers: [{ mappings: [mapping, mapping] }], devices: [inside] },
      { status: 409, errno: 'EEXIST' },
      'containers/0/mappings/1',
      'map-dma',
    ],
    [
      'a mapping without an IOMMU',
      { containers: [{ mappings: [mapping] }] },
      { status: 422, errno: 'EINVAL' },
      'containers/0/mappings/0',
      'map-dma',
    ],
    [
      'a container that is not there',
      { devices: [{ ...inside, container: 'c9' }] },
      { status: 404 },
      'devices/0/container',
      'there is no container "c9"',
    ],
    [
      'a pin outside of every mapping',
      { containers: [{}], devices: [{ ...inside, pins: [{ iova: 0, npage: 1, prot: RW }] }] },
      { status: 422, errno: 'EINVAL' },
      'devices/0/pins/0',
      'pin-pages',
    ],
    [
      'an id twice',
      { containers: [{ container: 'x' }, { container: 'x' }] },
      { status: 409, errno: 'EEXIST' },
      'containers/1',
      'open-container',
    ],
    [
      'memory that is not there',
      {
        processes: [
          { regions: [{ start: 0, size: PAGE, prot: RW }], fill: [{ vaddr: '0x5000', length: 1, byte: 0 }] },
        ],
      },
      { status: 422, errno: 'EFAULT' },
      'processes/0/fill/0',
      'fill-memory',
    ],
    [
      'a fault that cannot be',
      { faults: [{ on: 'map-dma', errno: 'EIO' }] },
      { status: 400 },
      'faults/0',
      'exactly one of',
    ],
    [
      'a driver that only complete-callback ends',
      { containers: [{}], devices: [{ driver: { type: 'manual', openDevice: true }, container: 'c0' }] },
      { status: 400 },
      'devices/0/container',
      'open-device of d0 waits for the open-device callback of d0',
    ],
    [
      'a webhook that fails to open',
      {
        containers: [{}],
        devices: [
          {
            device: 'w',
            driver: { type: 'webhook', url: 'http://192.0.2.1/', openDevice: true },
            container: 'c0',
          },
        ],
      },
      { status: 400 },
      'devices/0',
      'WEBHOOK_ALLOW',
    ],
    [
      'a trace with a difference',
      {
        steps: [{ call: 'open-container' }, { call: 'iommu-info', container: 'c0', expect: { errno: null } }],
      },
      { status: 400 },
      'steps/1',
      'errno is "EINVAL", expected null',
    ],
    [
      'a trace with a call that fails',
      { steps: [{ call: 'open-container' }, { call: 'iommu-info', container: 'c0' }] },
      { status: 400 },
      'steps/1',
      'answers EINVAL',
    ],
    [
      'a trace with an unknown call',
      { steps: [{ call: 'fly' }] },
      { status: 400 },
      'steps/0',
      '"fly" is not a call',
    ],
  ];

  test.each(REFUSED)('%s', async (_name, body, expected, at, detail) => {
    await rig.container(synthetic('unpin-range'));
    await rig.map('0x10000', '0x2000');
    await rig.pin('0x11000');
    await rig.post('faults', { on: 'unmap-dma', nth: 5, errno: 'EIO' });
    const before = await everything();
    const answer = await rig.post('setup', body);
    expectProblem(answer, { ...expected, detail: [detail] });
    expect(answer.body.at ?? '').toBe(at);
    if (at !== '') expect(answer.body.detail.startsWith(`${at}: `)).toBe(true);
    expect(await everything()).toEqual(before);
  });

  test('one that makes the kernel panic: the rig lives on', async () => {
    const kernel = '6.1';
    await ok(rig.post('set-parameters', { panicOnWarn: true }));
    const warns = {
      kernel,
      parameters: { panicOnWarn: true },
      containers: [{ mappings: [mapping] }],
      devices: [{ ...inside, pins: [{ iova: '0x10000', npage: -1, prot: RW }] }],
    };
    const answer = await rig.post('setup', warns);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect((await rig.post('containers', {})).status).toBe(201);
  });

  test('while its rig is dropped: 503, and no rig', async () => {
    const waits = createServer(() => {});
    await new Promise<void>((resolve) => waits.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(waits.address() as AddressInfo).port}/`;
    const reached = new Promise((resolve) => waits.once('request', resolve));
    const headers = { 'x-rig': 'doomed' };
    const setup = {
      containers: [{}],
      devices: [{ driver: { type: 'webhook', url, openDevice: true }, container: 'c0' }],
    };
    const answer = rig.post('setup', setup, headers);
    await reached;
    await rig.del('rigs/doomed');
    waits.closeAllConnections();
    expectProblem(await answer, { status: 503, slug: 'abandoned', detail: ['the rig was deleted'] });
    expect((await rig.request('GET', '/v1/containers', undefined, headers)).status).toBe(404);
    waits.close();
  });
});

describe('in place of a setup', () => {
  const STEPS = [
    { call: 'open-container', container: 'seeded', expect: { errno: null } },
    { call: 'set-iommu', container: 'seeded', type: 3, expect: { errno: 'EINVAL' } },
  ];

  test('a trace, whose expectations hold, on its kernel', async () => {
    expect((await rig.post('setup', { kernel: '5.10', steps: STEPS })).body).toMatchObject({
      kernel: '5.10',
      calls: 2,
      containers: ['seeded'],
    });
    expect((await rig.post('setup', { scenario: { steps: STEPS } })).body.kernel).toBe('5.10');
  });

  test('a batch, whose calls succeed', async () => {
    const ndjson = (...calls: object[]) =>
      rig.request('POST', '/v1/setup', calls.map((call) => JSON.stringify(call)).join('\n'), {
        'content-type': 'application/x-ndjson',
      });
    const opens = { call: 'open-container', container: 'a' };
    expect((await ndjson(opens, { call: 'create-device', kind: 'vfio-pci' })).body).toMatchObject({
      calls: 2,
      containers: ['a'],
    });
    const refused = await ndjson(opens, opens);
    expectProblem(refused, { status: 400, detail: ['line 2: open-container: answers EEXIST'] });
    expect((await rig.get('devices')).body.devices).toHaveLength(1);
    expectProblem(await ndjson({ call: 'create-device', bogus: 1 }), {
      status: 400,
      detail: ['line 1', 'bogus is not a known field'],
    });
  });

  test('a call that would be under way is refused', async () => {
    const steps = [
      { call: 'open-container' },
      { call: 'create-device', driver: { type: 'manual', openDevice: true } },
      { call: 'open-group', device: 'd0' },
      { call: 'set-container', device: 'd0', container: 'c0' },
      { call: 'set-iommu', container: 'c0', type: 'type1v2' },
      { call: 'open-device', device: 'd0', async: 'x' },
    ];
    expectProblem(await rig.post('setup', { steps }), {
      status: 400,
      detail: ['steps/5', 'no call may be under way'],
    });
    const whole = [...steps, { call: 'complete-callback', device: 'd0' }, { call: 'await', of: 'x' }];
    expect((await rig.post('setup', { steps: whole })).status).toBe(201);
  });
});

test('an unmap after a setup calls back, and its operation is one of the new rig', async () => {
  await ok(rig.post('setup', SETUP));
  const { body } = await rig.post('containers/guest/unmap-dma', { iova: '0x10000', size: '0x4000' }, ASYNC);
  expect(body.invalidations).toEqual([{ device: 'm0', iova: '0x10000', length: '0x4000' }]);
});

describe('a long setup', () => {
  const SOON = { timeout: 20_000 };
  /** Takes half a minute, if nobody ends it. */
  const READS = {
    steps: [
      { call: 'fill-memory', process: 'p0', vaddr: 0, length: 2 ** 24, byte: 1 },
      ...Array(1000).fill({ call: 'read-memory', process: 'p0', vaddr: 0, length: 2 ** 24 }),
    ],
  };

  test('counts as a long request, and ends with its rig', async () => {
    const setup = rig.inRig('other').post('setup', READS);
    await expect.poll(() => rig.service.works.count, SOON).toBe(1);
    await ok(rig.del('rigs/other'));
    expectProblem(await setup, { status: 503, slug: 'abandoned', detail: ['set up', 'the rig was deleted'] });
    expect(rig.service.works.count).toBe(0);
  });

  test('ends when its client goes, and the rig is as it was', async () => {
    await rig.listen();
    await ok(rig.post('containers', { container: 'c7' }));
    const gone = new AbortController();
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify(READS);
    const setup = fetch(`${rig.url}/v1/setup`, { method: 'POST', headers, body, signal: gone.signal });
    setup.catch(() => {});
    await expect.poll(() => rig.service.works.count, SOON).toBe(1);
    gone.abort();
    await expect.poll(() => rig.service.works.count, SOON).toBe(0);
    expect((await rig.get('containers/c7')).status).toBe(200);
  });

  test('waits for a driver no longer than its rig is there', async () => {
    const server: Server = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const driver = { type: 'webhook', url: `http://127.0.0.1:${port}/`, timeoutMs: 60_000, openDevice: true };
    const setup = rig.inRig('other').post('setup', {
      containers: [{ container: 'c0' }],
      devices: [{ driver, container: 'c0' }],
    });
    await new Promise((resolve) => server.once('request', resolve));
    await ok(rig.del('rigs/other'));
    expectProblem(await setup, { status: 503, slug: 'abandoned' });
    server.closeAllConnections();
    server.close();
  });

  test('stops where the machine pauses, and goes on also where nobody else has a turn', () => {
    const machine = () => new Machine(LINUX_6_1, MACHINE_LIMITS, { pauses: ALWAYS });
    const fill = { vaddr: 0, length: 2 ** 20, byte: 1 };
    const calls = () => callsOf({ processes: [{ process: 'p0', fill: [fill] }] });
    expect(setUpAtOnce(setUp(machine(), calls()))).toBe(1);
    const steps = [{ call: 'fill-memory', process: 'p0', ...fill }];
    for (const setup of [setUp(machine(), calls()), setUpTrace(machine(), steps, String)]) {
      expect([...setup].length).toBeGreaterThan(2);
    }
  });

  test('that is not as it expects says so in few words', async () => {
    const expected = 'x'.repeat(100_000);
    const steps = [{ call: 'open-container', expect: { errno: expected } }];
    const { body } = await rig.post('setup', { steps });
    expect(body.detail).toMatch(/^steps\/0: open-container: errno is null, expected "x{58,60}…$/);
  });
});
