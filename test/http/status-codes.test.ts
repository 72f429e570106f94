import { beforeEach, describe, expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import { ERRNO, type Errno } from '../../src/kernel/errno.ts';
import { type Answer, ASYNC, ok, startRig, useOneRig } from '../harness/http-rig.ts';
import { expectProblem, PROBLEM } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useOneRig();
beforeEach(() => ok(rig.post('reset')));

/** The contract's table, row by row. */
const STATUS: Readonly<Record<number, readonly Errno[]>> = {
  422: ['EINVAL', 'EFAULT', 'E2BIG', 'EOVERFLOW', 'ENOTTY', 'EOPNOTSUPP', 'ENODEV'],
  403: ['EPERM', 'EACCES'],
  404: ['ENOENT'],
  409: ['EEXIST', 'EBUSY', 'ENOSPC', 'ENOMEM', 'EBADF', 'EDEADLK'],
};

describe('the errno table', () => {
  const rows = Object.entries(STATUS).flatMap(([status, names]) =>
    names.map((errno): [Errno, number] => [errno, Number(status)]),
  );
  test.each(rows)('%s is answered with %i', (errno, status) => {
    const end = { how: 'returned', value: errno } as const;
    const reply = toReply({
      call: 'map-dma',
      end,
      log: [],
      splats: [],
      invalidations: [],
      advisories: [],
      effects: null,
      milliseconds: 0,
      why: 'so it is',
      writtenBack: null,
    });
    expect(reply).toMatchObject({
      status,
      body: { status, errno, errnoNumber: ERRNO[errno], call: 'map-dma', detail: 'map-dma: so it is' },
    });
  });
});

describe('each errno a client can meet', () => {
  const RW = { vaddr: '0x10000', size: '0x1000', flags: 3 };
  /** errno, its number, status, operation and condition, and how to get there. */
  const cases: [Errno, number, number, string, () => Promise<Answer>][] = [
    [
      'EPERM',
      1,
      403,
      'pin-pages for writing on a read-only mapping',
      async () => {
        await rig.container(synthetic('ignore'));
        await ok(rig.post('containers/c0/map-dma', { ...RW, iova: '0x10000', flags: ['read'] }));
        return rig.tryPin('0x10000');
      },
    ],
    [
      'ENOENT',
      2,
      404,
      'map-dma of a new vaddr where no mapping is',
      async () => {
        await rig.container(synthetic('ignore'));
        return rig.post('containers/c0/map-dma', { ...RW, iova: '0x10000', flags: ['vaddr'] });
      },
    ],
    [
      'E2BIG',
      7,
      422,
      'pin-pages of 513 pages',
      async () => {
        await rig.container(synthetic('ignore'));
        return rig.post('devices/d0/pin-pages', { iova: 0, npage: 513, prot: 1 });
      },
    ],
    [
      'EBADF',
      9,
      409,
      'close-device of a device that is not open',
      async () => {
        await ok(rig.post('devices', { device: 'd0', driver: synthetic('ignore') }));
        return rig.post('devices/d0/close-device');
      },
    ],
    [
      'ENOMEM',
      12,
      409,
      'pin-pages beyond RLIMIT_MEMLOCK',
      async () => {
        await rig.container(synthetic('ignore'));
        await ok(rig.post('processes/p0/set-memlock', { bytes: 0 }));
        await rig.map('0x10000', '0x1000');
        return rig.tryPin('0x10000');
      },
    ],
    [
      'EACCES',
      13,
      403,
      'pin-pages in a v1 container',
      async () => {
        await rig.container(synthetic('ignore'), 'type1');
        return rig.tryPin('0x10000');
      },
    ],
    [
      'EFAULT',
      14,
      422,
      'write-memory outside every region',
      async () => {
        await ok(rig.post('processes/p0/add-memory-region', { start: 0, size: 4096, prot: 3 }));
        return rig.post('processes/p0/write-memory', { vaddr: 4095, data: 'AAA=' });
      },
    ],
    [
      'EBUSY',
      16,
      409,
      'remove-device of an open device that is not waited for',
      async () => {
        await rig.container(synthetic('ignore'));
        return rig.del('devices/d0?ifOpen=refuse');
      },
    ],
    [
      'EEXIST',
      17,
      409,
      'open-container with an id that is taken',
      async () => {
        await ok(rig.post('containers', { container: 'c0' }));
        return rig.post('containers', { container: 'c0' });
      },
    ],
    [
      'ENODEV',
      19,
      422,
      'set-iommu of a type no driver claims',
      async () => {
        await ok(rig.post('containers', { container: 'c0' }));
        await rig.create('d0', synthetic('ignore'));
        return rig.post('containers/c0/set-iommu', { type: 42 });
      },
    ],
    [
      'EINVAL',
      22,
      422,
      'map-dma in a container without an IOMMU',
      async () => {
        await ok(rig.post('containers', { container: 'c0' }));
        return rig.tryMap('0x10000', '0x1000');
      },
    ],
    [
      'ENOSPC',
      28,
      409,
      'map-dma beyond dma_entry_limit',
      async () => {
        await ok(rig.post('set-parameters', { dmaEntryLimit: 1 }));
        await rig.container(synthetic('ignore'));
        await rig.map('0x10000', '0x1000');
        return rig.tryMap('0x20000', '0x1000');
      },
    ],
    [
      'EDEADLK',
      35,
      409,
      'open-device that closes a lock cycle',
      async () => {
        await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
        await rig.create('d1', synthetic('ignore'));
        await rig.map('0x10000', '0x1000');
        await rig.pin('0x10000');
        await ok(rig.unmap('0x10000', '0x1000', ASYNC));
        const { operation } = await ok(rig.post('devices/d1/open-device', {}, ASYNC));
        await ok(rig.post('devices/d0/resume-callbacks'));
        const { answer } = await ok(rig.get(`operations/${operation}`));
        // As the client would have been answered, but for what the sending adds.
        const body = { ...answer.body, instance: 'req' };
        return { status: answer.status, type: PROBLEM, headers: {}, body };
      },
    ],
  ];
  test.each(cases)('%s (%i) is %i: %s', async (errno, errnoNumber, status, _name, provoke) => {
    const answer = await provoke();
    expectProblem(answer, { status, errno, errnoNumber });
    expect(answer.body.call).toMatch(/^[a-z-]+$/);
    expect(answer.body).not.toHaveProperty('killed');
  });

  test('a refused map-dma names the call, the values and the mapping in the way', async () => {
    await rig.container(synthetic('ignore'));
    await rig.map('0x10000', '0x2000');
    const answer = await rig.tryMap('0x11000', '0x1000');
    expectProblem(answer, { status: 409, errno: 'EEXIST', detail: ['map-dma', '0x11000', '0x10000'] });
    expect(answer.body.call).toBe('map-dma');
  });

  test('a refused pin-pages carries what the kernel printed', async () => {
    await rig.container(synthetic('ignore'));
    await ok(rig.post('processes/p0/set-memlock', { bytes: 8191 }));
    await rig.map('0x10000', '0x2000');
    await rig.pin('0x10000');
    const answer = await rig.tryPin('0x11000');
    expectProblem(answer, { status: 409, errno: 'ENOMEM' });
    const text = 'vfio_pin_page_external: Task COMM (PID) RLIMIT_MEMLOCK (8191) exceeded';
    expect(answer.body.log).toEqual([{ kind: 'PR_WARN', text }]);
  });
});

describe('success', () => {
  test.each([
    ['create-process', 'processes', {}, { process: 'p1' }],
    ['open-container', 'containers', {}, { container: 'c0', process: 'p0' }],
    ['create-device', 'devices', { driver: synthetic('ignore') }, { device: 'd0', group: 'g0' }],
  ])('%s answers 201 and the id it chose', async (_call, path, body, chosen) => {
    const answer = await rig.post(path, body);
    expect(answer).toMatchObject({ status: 201, body: chosen, type: 'application/json; charset=utf-8' });
  });

  test('close-container answers 204 with no body', async () => {
    await ok(rig.post('containers'));
    expect(await rig.del('containers/c0')).toMatchObject({ status: 204, body: {}, type: '' });
    expect((await rig.get('containers/c0')).status).toBe(404);
  });

  test('remove-device answers 204 with no body', async () => {
    await ok(rig.post('devices', { driver: synthetic('ignore') }));
    expect(await rig.del('devices/d0')).toMatchObject({ status: 204, body: {}, type: '' });
    expect((await rig.get('devices/d0')).status).toBe(404);
  });

  test('reset answers 204 with no body and starts the ids from 0', async () => {
    await ok(rig.post('containers'));
    expect(await rig.post('reset')).toMatchObject({ status: 204, body: {}, type: '' });
    expect((await ok(rig.post('containers'))).container).toBe('c0');
  });

  test('remove-device that makes the kernel warn answers 200 with the log', async () => {
    await rig.container(synthetic('ignore'));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    await ok(rig.post('devices/d0/close-device'));
    const answer = await rig.del('devices/d0');
    expect(answer).toMatchObject({
      status: 200,
      body: { log: [{ kind: 'WARN_ON', function: 'vfio_remove_dma' }] },
    });
  });

  test('map-dma answers 200, and leaves log, advisories and invalidations out where there are none', async () => {
    await rig.container(synthetic('ignore'));
    expect(await rig.tryMap('0x10000', '0x1000')).toMatchObject({
      status: 200,
      type: 'application/json; charset=utf-8',
    });
    expect((await rig.tryMap('0x20000', '0x1000')).body).toEqual({ iova: '0x20000', size: '0x1000' });
  });

  test('unmap-dma that calls nobody says so', async () => {
    await rig.container(synthetic('ignore'));
    expect((await rig.unmap('0x10000', '0x1000')).body).toEqual({ size: '0x0', invalidations: [] });
  });
});

describe('what ends a task', () => {
  test('unmap-dma into the BUG_ON answers 409 kernel-bug with splat, log and eleven invalidations', async () => {
    await rig.container(synthetic('ignore'));
    const answer = await rig.bug();
    expectProblem(answer, { status: 409, slug: 'kernel-bug', detail: ['unmap-dma', 'BUG_ON'] });
    const splat = {
      kind: 'BUG_ON',
      function: 'vfio_dma_do_unmap',
      condition: '++retries > 10',
      file: 'drivers/vfio/vfio_iommu_type1.c',
      line: expect.any(Number),
    };
    expect(answer.body).toMatchObject({ call: 'unmap-dma', killed: true, splat, log: [splat] });
    const callback = { device: 'd0', iova: '0x10000', length: '0x1000' };
    expect(answer.body.invalidations).toEqual(Array(11).fill(callback));
  });

  test('map-dma after the BUG_ON answers 423 container-wedged with the splat that did it', async () => {
    await rig.container(synthetic('ignore'));
    const { splat } = (await rig.bug()).body;
    const answer = await rig.tryMap('0x90000', '0x1000');
    expectProblem(answer, { status: 423, slug: 'container-wedged', detail: ['map-dma', 'lock'] });
    expect(answer.body).toMatchObject({ call: 'map-dma', splat });
    expect(answer.body).not.toHaveProperty('killed');
  });
});

describe('limits', () => {
  test.each([
    ['open-container', 'containers', 'containers', {}, 2],
    ['create-device', 'devices', 'devices', { kind: 'vfio-pci' }, 2],
    ['create-process', 'processes', 'processes', {}, 1],
  ])('%s beyond the limit answers 429 and creates nothing', async (_call, path, named, body, free) => {
    const small = await startRig({ maxContainers: 2, maxDevices: 2, maxProcesses: 2 });
    try {
      for (let i = 0; i < free; i++) await ok(small.post(path, body));
      const before = await small.state();
      const answer = await small.post(path, body);
      expectProblem(answer, { status: 429, slug: 'too-many', detail: ['2', named] });
      expect(await small.state()).toEqual(before);
    } finally {
      await small.close();
    }
  });

  test('a container that is closed makes room for another', async () => {
    const small = await startRig({ maxContainers: 1 });
    try {
      await ok(small.post('containers'));
      expect((await small.post('containers')).status).toBe(429);
      await ok(small.del('containers/c0'));
      expect((await ok(small.post('containers'))).container).toBe('c1');
    } finally {
      await small.close();
    }
  });
});

describe('a fault of the service itself', () => {
  test('answers 500 without saying what it was, and logs it', async () => {
    const faulty = await startRig();
    try {
      faulty.service.rigs.use('default').host.start = () => {
        throw new Error('a secret');
      };
      const answer = await faulty.post('containers');
      expectProblem(answer, { status: 500, slug: 'internal' });
      expect(JSON.stringify(answer.body)).not.toContain('a secret');
      const line = faulty.lines.find(({ level }) => level === 50);
      expect(line).toMatchObject({
        method: 'POST',
        url: '/v1/containers',
        reqId: answer.body.instance,
        err: { message: 'a secret' },
      });
    } finally {
      await faulty.close();
    }
  });
});
