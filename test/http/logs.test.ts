import { describe, expect, test } from 'vitest';
import { ASYNC, type HttpRig, type LogLine, ok, startRig, useRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const DEBUG = 20;
const WARN = 40;
const FATAL = 60;

const rig = useRig({ logLevel: 'debug' });

/** Lines about what the kernel printed. */
const kernelLines = (lines: readonly LogLine[] = rig.lines) =>
  lines.filter((line) => 'kernel' in line && 'seq' in line);

/** The only line about what the kernel printed. */
function kernelLine(): LogLine {
  const lines = kernelLines();
  expect(lines).toHaveLength(1);
  return lines[0]!;
}

/** Seq of the journal's only splat. */
async function splatSeq(): Promise<number> {
  const { events } = await ok(rig.get('events?kind=splat'));
  expect(events).toHaveLength(1);
  return events[0].seq;
}

const TYPE1 = 'drivers/vfio/vfio_iommu_type1.c';
const UNPIN_NOTHING = { iova: '0x50000', npage: 2 };

describe('the line of', () => {
  test('a WARN_ON is at warn and has every field', async () => {
    await rig.container(synthetic('ignore'));
    const headers = { 'x-request-id': 'unpin-1' };
    await ok(rig.post('devices/d0/unpin-pages', UNPIN_NOTHING, headers));
    const line = kernelLine();
    expect(line).toMatchObject({
      level: WARN,
      kernel: {
        kind: 'WARN_ON',
        function: 'vfio_iommu_type1_unpin_pages',
        condition: 'i != npage',
        file: TYPE1,
        line: expect.any(Number),
        version: '6.1',
      },
      container: 'c0',
      device: 'd0',
      iova: '0x50000',
      size: '0x2000',
      call: 'unpin-pages',
      reqId: 'unpin-1',
      seq: await splatSeq(),
    });
  });

  test('a WARN_ON begins as on a console', async () => {
    await rig.container(synthetic('ignore'));
    const { log } = await ok(rig.post('devices/d0/unpin-pages', UNPIN_NOTHING));
    const place = `${TYPE1}:${log[0].line} vfio_iommu_type1_unpin_pages`;
    expect(kernelLine().msg).toMatch(/^WARNING: CPU: \d+ PID: \d+ at /);
    expect(kernelLine().msg).toContain(` at ${place}`);
  });

  test('a WARN_ON about a mapping whose pins leak names mapping and pins', async () => {
    await rig.container(synthetic('ignore'));
    await rig.map('0x10000', '0x2000');
    await rig.pin('0x11000');
    await ok(rig.post('devices/d0/close-device'));
    await ok(rig.post('devices/d0/unset-container'));
    expect(kernelLine()).toMatchObject({
      level: WARN,
      kernel: { kind: 'WARN_ON', function: 'vfio_remove_dma' },
      container: 'c0',
      iova: '0x10000',
      size: '0x2000',
      pinCount: 1,
      pins: [{ iova: '0x11000', refCount: 1, devices: [{ device: 'd0', count: 1 }] }],
      call: 'unset-container',
    });
  });

  test('a WARN_ON_ONCE is written once, and again after a reset', async () => {
    const provoke = async () => {
      await rig.container(synthetic('ignore'));
      await ok(rig.post('devices/d0/close-device'));
      for (let i = 0; i < 2; i++) expect((await rig.tryPin('0x10000')).status).toBe(422);
    };
    await provoke();
    expect(kernelLine()).toMatchObject({ level: WARN, kernel: { kind: 'WARN_ON_ONCE' }, device: 'd0' });
    await ok(rig.post('reset'));
    await provoke();
    expect(kernelLines()).toHaveLength(2);
  });

  test('a BUG_ON is at fatal and has every field', async () => {
    await rig.container(synthetic('ignore'));
    await rig.map('0x10000', '0x4000');
    await rig.pin('0x11000');
    await rig.pin('0x11000');
    await rig.pin('0x13000');
    await rig.unmap('0x10000', '0x4000', { 'x-request-id': 'unmap-1' });
    expect(kernelLine()).toMatchObject({
      level: FATAL,
      kernel: {
        kind: 'BUG_ON',
        function: 'vfio_dma_do_unmap',
        condition: '++retries > 10',
        file: TYPE1,
        line: expect.any(Number),
        version: '6.1',
      },
      container: 'c0',
      iova: '0x10000',
      size: '0x4000',
      attempt: 11,
      pinCount: 2,
      pins: [
        { iova: '0x11000', refCount: 2, devices: [{ device: 'd0', count: 2 }] },
        { iova: '0x13000', refCount: 1, devices: [{ device: 'd0', count: 1 }] },
      ],
      call: 'unmap-dma',
      reqId: 'unmap-1',
      seq: await splatSeq(),
    });
  });

  test('a BUG_ON is the kernel’s own first line', async () => {
    await rig.container(synthetic('ignore'));
    const { splat } = (await rig.bug()).body;
    expect(kernelLine().msg).toBe(`kernel BUG at ${TYPE1}:${splat.line}!`);
  });

  test('a BUG_ON names each holder of a page, also one that was removed', async () => {
    await rig.container(synthetic('ignore'));
    await rig.create('gone', synthetic('ignore'));
    await ok(rig.post('devices/gone/open-device'));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    await rig.pin('0x10000', 'gone');
    await ok(rig.post('devices/gone/close-device'));
    await ok(rig.del('devices/gone'));
    await rig.unmap('0x10000', '0x1000');
    const [left] = kernelLine().pins as { devices: { device: string; count: number }[] }[];
    expect(left!.devices.toSorted((a, b) => a.device.localeCompare(b.device))).toEqual([
      { device: 'd0', count: 1 },
      { device: 'gone', count: 1 },
    ]);
  });

  test('a DEADLOCK is one line at fatal, with every call of the cycle and its locks', async () => {
    await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
    await rig.create('d1', synthetic('ignore'));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    await rig.unmap('0x10000', '0x1000', { ...ASYNC, 'x-request-id': 'unmap-1' });
    await rig.post('devices/d1/open-device', {}, { ...ASYNC, 'x-request-id': 'open-1' });
    await ok(rig.post('devices/d0/resume-callbacks'));
    const lines = kernelLines();
    expect(lines.length).toBe(1);
    expect(lines[0]).toMatchObject({
      level: FATAL,
      kernel: {
        kind: 'DEADLOCK',
        version: '6.1',
        condition: expect.stringContaining('open-device of d1'),
        tasks: expect.arrayContaining([
          {
            call: 'unmap-dma',
            holds: [expect.stringContaining('device_list_lock')],
            waitsFor: expect.stringContaining('iommu->lock'),
          },
        ]),
      },
      container: 'c0',
      call: 'unmap-dma',
      reqId: 'unmap-1',
      seq: expect.any(Number),
    });
    expect(lines[0]?.msg).toMatch(/^INFO: task \S+:\d+ blocked /);
  });

  test('a pr_warn is at warn and is its text', async () => {
    await rig.container(synthetic('ignore'));
    await ok(rig.post('processes/p0/set-memlock', { bytes: 4096 }));
    await rig.map('0x10000', '0x2000');
    await rig.pin('0x10000');
    const { log } = (await rig.tryPin('0x11000')).body;
    const text = 'vfio_pin_page_external: Task COMM (PID) RLIMIT_MEMLOCK (4096) exceeded';
    expect(log).toEqual([{ kind: 'PR_WARN', text }]);
    expect(kernelLine()).toMatchObject({
      level: WARN,
      msg: text,
      kernel: { kind: 'PR_WARN', text, version: '6.1' },
      container: 'c0',
      device: 'd0',
      call: 'pin-pages',
    });
  });
});

describe('requests', () => {
  test('are written at debug with method, url, status and id', async () => {
    const answer = await rig.request('GET', '/v1/containers?limit=5', undefined, {
      'x-request-id': 'list-1',
    });
    expect(answer.status).toBe(200);
    expect(rig.lines).toContainEqual(
      expect.objectContaining({
        level: DEBUG,
        method: 'GET',
        url: '/v1/containers?limit=5',
        status: 200,
        reqId: 'list-1',
      }),
    );
  });

  test('that were refused are written at debug as well, and at nothing higher', async () => {
    await rig.get('containers/c9');
    const lines = rig.lines.filter((line) => line.url === '/v1/containers/c9');
    expect(lines).toMatchObject([{ level: DEBUG, status: 404 }]);
  });

  test('are not written at info', async () => {
    const quiet = await startRig({ logLevel: 'info' });
    await ok(quiet.get('containers'));
    await quiet.close();
    expect(quiet.lines.filter((line) => 'url' in line)).toEqual([]);
  });
});

describe('panic policy', () => {
  const warn = (at: HttpRig) => ok(at.post('devices/d0/unpin-pages', UNPIN_NOTHING));

  test.each([
    ['panicOnWarn', warn, 'panic_on_warn set'],
    ['panicOnOops', (at: HttpRig) => at.bug(), 'Fatal exception'],
  ] as const)('%s by set-parameters panics where the operator allows it', async (name, provoke, reason) => {
    const allowed = await startRig({ allowPanic: true });
    try {
      await allowed.container(synthetic('ignore'));
      await ok(allowed.post('set-parameters', { [name]: true }));
      await provoke(allowed);
      expect(allowed.panics).toEqual([reason]);
    } finally {
      await allowed.close();
    }
  });

  test.each([
    ['panicOnWarn', warn],
    ['panicOnOops', (at: HttpRig) => at.bug()],
  ] as const)('%s by configuration panics, also after set-parameters and a reset', async (name, provoke) => {
    const strict = await startRig({ [name]: true });
    try {
      await ok(strict.post('set-parameters', { [name]: false }));
      await strict.container(synthetic('ignore'));
      await provoke(strict);
      expect(strict.panics).toEqual([]);
      await ok(strict.post('reset'));
      expect((await strict.request('GET', '/v1')).body.parameters[name]).toBe(true);
      await strict.container(synthetic('ignore'));
      await provoke(strict);
      expect(strict.panics).toHaveLength(1);
    } finally {
      await strict.close();
    }
  });

  test('neither is set unless somebody says so', async () => {
    await rig.container(synthetic('ignore'));
    await warn(rig);
    await rig.bug();
    expect(rig.panics).toEqual([]);
  });

  test('panicOnOops does not panic at a WARN_ON, nor panicOnWarn at the BUG_ON', async () => {
    await rig.container(synthetic('ignore'));
    await ok(rig.post('set-parameters', { panicOnOops: true }));
    await warn(rig);
    await ok(rig.post('set-parameters', { panicOnOops: false, panicOnWarn: true }));
    await rig.bug();
    expect(rig.panics).toEqual([]);
  });

  test('panicOnWarn does not panic at a pr_warn', async () => {
    await rig.container(synthetic('ignore'));
    await ok(rig.post('set-parameters', { panicOnWarn: true }));
    await ok(rig.post('processes/p0/set-memlock', { bytes: 0 }));
    await rig.map('0x10000', '0x1000');
    expect((await rig.tryPin('0x10000')).body.log).toHaveLength(1);
    expect(rig.panics).toEqual([]);
  });

  test('replay of a scenario that dies does not panic the service', async () => {
    await ok(rig.post('set-parameters', { panicOnWarn: true, panicOnOops: true }));
    const steps = [
      { call: 'create-device', driver: synthetic('ignore') },
      { call: 'unpin-pages', device: 'd0', iova: 0, npage: 0 },
    ];
    await ok(rig.post('replay', { steps }));
    expect(rig.panics).toEqual([]);
  });

  test('the hook is called after the splat’s line and the panic’s', async () => {
    let before: string[] = [];
    await rig.start({ panicOnOops: true }, () => {
      before = rig.lines.filter(({ level }) => level === FATAL).map(({ msg }) => msg);
    });
    await rig.container(synthetic('ignore'));
    await rig.bug();
    expect(before).toEqual([
      expect.stringMatching(/^kernel BUG at /),
      'Kernel panic - not syncing: Fatal exception',
    ]);
  });
});
