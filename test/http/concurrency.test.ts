import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Answer, ASYNC, ok, useRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();

/** Container c0 in which d0 pins 0x10000 and holds its callbacks. */
async function holding(onDmaUnmap = 'unpin-range'): Promise<void> {
  await rig.container(synthetic(onDmaUnmap, { holdCallbacks: true }));
  await rig.map('0x10000', '0x1000');
  await rig.pin('0x10000');
}

/** Starts the unmap whose callback is held, and returns its operation. */
async function heldUnmap(iova = '0x10000', size = '0x1000'): Promise<string> {
  const { operation } = await started(rig.unmap(iova, size, ASYNC));
  return operation;
}

/** A request that is answered 202. */
async function started(answer: Promise<Answer>): Promise<Answer['body']> {
  const { status, body } = await answer;
  expect(status, JSON.stringify(body)).toBe(202);
  return body;
}

const resume = (device = 'd0') => ok(rig.post(`devices/${device}/resume-callbacks`));

/** What an operation was answered; null while it is under way. */
async function answerOf(operation: string): Promise<{ status: number; body: Answer['body'] } | null> {
  const { done, answer } = await ok(rig.get(`operations/${operation}`));
  expect(done).toBe(answer !== undefined);
  return answer ?? null;
}

/** Waits until so many calls are under way. */
async function callsUnderWay(count: number): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if ((await rig.request('GET', '/v1')).body.counts.pendingCalls === count) return;
    // A body is read in a turn of the event loop of its own.
    await setImmediate();
  }
  throw new Error(`there are never ${count} calls under way`);
}

/** Takes the pin away from outside, so that the held callback has nothing left to unpin. */
const unpinFromOutside = () => ok(rig.post('devices/d0/unpin-pages', { iova: '0x10000', npage: 1 }));

/** Calls in the order in which they were answered, from the journal. */
async function answeredCalls(since: number): Promise<string[]> {
  const { events } = await ok(rig.get(`events?since=${since}`));
  const callOf = new Map<number, string>();
  const answered: string[] = [];
  for (const event of events) {
    if (event.kind === 'call') callOf.set(event.seq, event.call.iova ?? event.call.call);
    else if (event.kind === 'answer' && callOf.has(event.cause)) answered.push(callOf.get(event.cause)!);
  }
  return answered;
}

describe('Prefer: respond-async', () => {
  test('unmap-dma whose callback is held is answered 202 with the callbacks so far', async () => {
    await holding();
    const answer = await rig.unmap('0x10000', '0x1000', ASYNC);
    expect(answer).toMatchObject({
      status: 202,
      body: {
        operation: expect.stringMatching(/./),
        invalidations: [{ device: 'd0', iova: '0x10000', length: '0x1000' }],
      },
    });
    expect(answer.headers['preference-applied']).toBe('respond-async');
    expect(await answerOf(answer.body.operation)).toBeNull();
  });

  test('its operation has the answer that the plain request would have had', async () => {
    await holding();
    const operation = await heldUnmap();
    await resume();
    expect(await answerOf(operation)).toEqual({
      status: 200,
      body: { size: '0x1000', invalidations: [{ device: 'd0', iova: '0x10000', length: '0x1000' }] },
    });
  });

  test.each(['respond-async', 'Respond-Async', 'wait=10, respond-async', 'respond-async; x=1'])(
    'is understood as %j',
    async (prefer) => {
      await holding();
      expect((await rig.unmap('0x10000', '0x1000', { prefer })).status).toBe(202);
    },
  );

  test('unmap-dma that need not wait is answered as usual', async () => {
    await rig.container(synthetic('unpin-range'));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    const answer = await rig.unmap('0x10000', '0x1000', ASYNC);
    expect(answer).toMatchObject({ status: 200, body: { size: '0x1000' } });
    expect(answer.headers).not.toHaveProperty('preference-applied');
  });

  test('attach that need not wait is answered as usual', async () => {
    await holding();
    await ok(rig.post('devices', { device: 'd1', driver: synthetic('ignore') }));
    const answer = await rig.post('containers/c0/attach', { device: 'd1' }, ASYNC);
    expect(answer).toMatchObject({ status: 200, body: { container: 'c0', device: 'd1' } });
  });

  test('attach that waits for the round is answered 202, and its operation has the answer', async () => {
    await holding();
    await ok(rig.post('devices', { device: 'd1', driver: synthetic('ignore') }));
    await heldUnmap();
    await unpinFromOutside();
    const { operation } = await started(rig.post('containers/c0/attach', { device: 'd1' }, ASYNC));
    await resume();
    expect(await waited(operation)).toEqual({
      status: 200,
      body: { container: 'c0', device: 'd1', group: 'g1' },
    });
  });

  test('close-container that waited is answered 204, as it is when it need not wait', async () => {
    await holding();
    await rig.create('d1', synthetic('ignore'));
    await heldUnmap();
    await unpinFromOutside();
    await started(rig.post('devices/d1/open-device', {}, ASYNC));
    const { operation } = await started(rig.del('containers/c0', ASYNC));
    await resume();
    expect(await answerOf(operation)).toEqual({ status: 204, body: {} });
    expect((await rig.get('containers/c0')).body.open).toBe(false);
  });
});

/** The answer of an operation that is done, or soon will be. */
async function waited(operation: string): Promise<unknown> {
  const { done, answer } = await ok(rig.get(`operations/${operation}?wait=1&timeoutMs=10000`));
  expect(done).toBe(true);
  return answer;
}

describe('GET of an operation', () => {
  test('with wait=1 is answered when the call is done', async () => {
    await holding();
    const operation = await heldUnmap();
    const waiting = waited(operation);
    await resume();
    expect(await waiting).toMatchObject({ status: 200, body: { size: '0x1000' } });
  });

  test('with wait=1 and a time that passes says that it is not done', async () => {
    await holding();
    const operation = await heldUnmap();
    expect(await ok(rig.get(`operations/${operation}?wait=1&timeoutMs=1`))).toEqual({
      operation,
      call: { call: 'unmap-dma', container: 'c0', iova: '0x10000', size: '0x1000' },
      done: false,
      invalidations: [{ device: 'd0', iova: '0x10000', length: '0x1000' }],
      timedOut: true,
      timeoutMs: 1,
    });
  });

  test('can be made again after it is done', async () => {
    await holding();
    const operation = await heldUnmap();
    await resume();
    const first = await waited(operation);
    expect(await waited(operation)).toEqual(first);
  });

  test.each([
    'wait=true',
    'wait=1&timeoutMs=-1',
    'wait=1&timeoutMs=soon',
    'wait=1&timeoutMs=1&timeoutMs=2',
    'x=1',
  ])('with %s is refused with 400', async (query) => {
    await holding();
    expectProblem(await rig.get(`operations/${await heldUnmap()}?${query}`), { status: 400 });
  });

  test('over a connection stays open until the call is done, and ends when the client gives up', async () => {
    await rig.listen();
    const { port } = rig;
    await holding();
    const operation = await heldUnmap();
    const path = `/v1/operations/${operation}?wait=1&timeoutMs=60000`;
    const given = httpRequest({ port, path }).end();
    const givenUp = new Promise((resolve) => given.on('error', () => {}).on('close', resolve));
    await once(rig.app.server, 'request');
    const waiting = httpRequest({ port, path }).end();
    const response = once(waiting, 'response') as Promise<[IncomingMessage]>;
    let answered = false;
    void response.then(() => {
      answered = true;
    });
    await once(rig.app.server, 'request');
    given.destroy();
    await givenUp;
    // Another exchange on a connection of its own: whatever is answered at once has been by then.
    const [other] = (await once(httpRequest({ port, path: '/health' }).end(), 'response')) as [
      IncomingMessage,
    ];
    other.resume();
    await once(other, 'end');
    expect(answered).toBe(false);
    await resume();
    const [message] = await response;
    const chunks = await message.toArray();
    expect(JSON.parse(Buffer.concat(chunks).toString())).toMatchObject({
      done: true,
      answer: { status: 200 },
    });
  });
});

describe('a plain request', () => {
  test('unmap-dma whose callback is held stays open until the callback goes on', async () => {
    await holding();
    let answered = false;
    const open = rig.unmap('0x10000', '0x1000').finally(() => {
      answered = true;
    });
    await callsUnderWay(1);
    await ok(rig.get('containers/c0'));
    expect(answered).toBe(false);
    await resume();
    expect(await open).toMatchObject({ status: 200, body: { size: '0x1000' } });
    await callsUnderWay(0);
  });

  test('the callback that was let go is the last that is held', async () => {
    await holding('ignore');
    const open = rig.unmap('0x10000', '0x1000');
    await callsUnderWay(1);
    await resume();
    expect((await open).body).toMatchObject({ killed: true });
    expect((await open).body.invalidations).toHaveLength(11);
  });

  test('resume-callbacks where nothing is held lets later callbacks through', async () => {
    await holding();
    await resume();
    expect(await rig.unmap('0x10000', '0x1000', ASYNC)).toMatchObject({ status: 200 });
  });
});

describe('while a callback is held', () => {
  const RW = { flags: 3, vaddr: 0 };
  test.each([
    ['map-dma', 'containers/c0/map-dma', { iova: '0x90000', size: '0x1000', ...RW }],
    ['map-dma beside the range', 'containers/c0/map-dma', { iova: '0x11000', size: '0x1000', ...RW }],
    ['unmap-dma of a mapping without pins', 'containers/c0/unmap-dma', { iova: '0x40000', size: '0x1000' }],
    ['pin-pages', 'devices/d0/pin-pages', { iova: '0x40000', npage: 1, prot: 3 }],
    ['pin-pages in the mapping itself', 'devices/d0/pin-pages', { iova: '0x10000', npage: 1, prot: 3 }],
    ['unpin-pages', 'devices/d0/unpin-pages', { iova: '0x10000', npage: 1 }],
    ['dma-rw', 'devices/d0/dma-rw', { iova: '0x10000', write: true, fill: 1, length: 4096 }],
    ['dirty-start', 'containers/c0/dirty-start', {}],
    ['check-extension 10', 'containers/c0/check-extension', { extension: 10 }],
    ['open-device of a device without dma_unmap', 'devices/silent/open-device', {}],
    ['open-device of a device that is open', 'devices/d0/open-device', {}],
    ['group-status', 'devices/d0/group-status', {}],
    ['set-container', 'devices/loose/set-container', { container: 'c0' }],
    ['open-container', 'containers', {}],
  ])('%s runs and is answered at once', async (_name, path, body) => {
    await holding();
    await rig.map('0x40000', '0x1000');
    await rig.create('silent', synthetic('no-callback'));
    await ok(rig.post('devices', { device: 'loose', driver: synthetic('ignore') }));
    await ok(rig.post('devices/loose/open-group'));
    const operation = await heldUnmap();
    const answer = await rig.post(path, body, ASYNC);
    expect([200, 201], JSON.stringify(answer.body)).toContain(answer.status);
    expect(await answerOf(operation)).toBeNull();
  });

  test('iommu-info is answered, and shows the mapping still there', async () => {
    await holding();
    await heldUnmap();
    expect((await rig.get('containers/c0/iommu-info')).body.dmaAvail).toBe(65534);
  });

  test('calls on another container run, pinned unmaps included', async () => {
    await holding();
    await ok(rig.post('containers', { container: 'c1' }));
    await rig.create('d1', synthetic('unpin-range'), { container: 'c1', type: 'type1v2' });
    await ok(rig.post('devices/d1/open-device'));
    await heldUnmap();
    await rig.map('0x10000', '0x1000', { container: 'c1' });
    await rig.pin('0x10000', 'd1');
    const answer = await rig.post('containers/c1/unmap-dma', { iova: '0x10000', size: '0x1000' }, ASYNC);
    expect(answer).toMatchObject({ status: 200, body: { size: '0x1000' } });
  });

  test('a pin made meanwhile in the mapping makes another round', async () => {
    await holding();
    const operation = await heldUnmap();
    await ok(rig.post('devices', { device: 'd1', driver: synthetic('no-callback') }));
    await ok(rig.post('containers/c0/attach', { device: 'd1' }));
    await rig.pin('0x10000', 'd1');
    await resume();
    // d0 gives back its pin; that of d1, which is never called, keeps the page until the BUG_ON.
    const answer = await answerOf(operation);
    expect(answer).toMatchObject({ status: 409, body: { killed: true } });
    expect(answer!.body.invalidations).toHaveLength(11);
  });

  test('the device cannot be removed by who does not wait until it is closed', async () => {
    await holding();
    await heldUnmap();
    expectProblem(await rig.del('devices/d0?ifOpen=refuse'), { status: 409, errno: 'EBUSY' });
  });

  test('a map-dma that bisects the range makes the unmap-dma succeed with what it had removed', async () => {
    await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
    await rig.map('0x1000', '0x1000');
    await rig.map('0x2000', '0x1000');
    await rig.pin('0x2000');
    const operation = await heldUnmap('0x1000', '0x3000');
    await rig.map('0x3000', '0x2000');
    await resume();
    expect(await answerOf(operation)).toMatchObject({
      status: 200,
      body: { size: '0x1000', invalidations: [{ device: 'd0', iova: '0x2000', length: '0x1000' }] },
    });
    const { mappings } = (await rig.get('containers/c0/mappings')).body;
    expect(mappings).toMatchObject([{ iova: '0x2000', pins: 0 }, { iova: '0x3000' }]);
  });
});

describe('a lock cycle', () => {
  /** What closes the cycle: the operation that waits, and how its splat names it. */
  const cycles: [string, () => Promise<unknown>, () => Promise<Answer>, object][] = [
    [
      'open-device of a device with dma_unmap',
      () => rig.create('d1', synthetic('ignore')),
      () => rig.post('devices/d1/open-device', {}, ASYNC),
      { call: 'open-device', device: 'd1' },
    ],
    [
      'close-device for the last time of a device with dma_unmap',
      async () => {
        await rig.create('d1', synthetic('ignore'));
        await ok(rig.post('devices/d1/open-device'));
      },
      () => rig.post('devices/d1/close-device', {}, ASYNC),
      { call: 'close-device', device: 'd1' },
    ],
    [
      'unmap-dma that meets a mapping with pins',
      async () => {
        await rig.map('0x20000', '0x1000');
        await rig.pin('0x20000');
      },
      () => rig.unmap('0x20000', '0x1000', ASYNC),
      { call: 'unmap-dma' },
    ],
  ];
  for (const [name, prepare, close, inSplat] of cycles) {
    test(`${name} while the callback unpins: both calls end with EDEADLK`, async () => {
      await holding();
      await prepare();
      const first = await heldUnmap();
      const second = await started(close());
      expect(await answerOf(first)).toBeNull();
      expect(await answerOf(second.operation)).toBeNull();
      await resume();
      const answers = [(await answerOf(first))!, (await answerOf(second.operation))!];
      for (const { status, body } of answers) {
        expect({ status, body }).toMatchObject({ status: 409, body: { errno: 'EDEADLK', errnoNumber: 35 } });
        expect(body.log).toEqual([body.splat]);
      }
      expect(answers[0]!.body.call).toBe('unmap-dma');
      expect(answers[0]!.body.invalidations.at(-1)).toMatchObject({ device: 'd0', iova: '0x10000' });
      expect(answers[1]!.body.splat).toEqual(answers[0]!.body.splat);
    });

    test(`${name} while the callback unpins: the splat names each call, what it holds and waits for`, async () => {
      await holding();
      await prepare();
      const first = await heldUnmap();
      await started(close());
      await resume();
      const { splat } = (await answerOf(first))!.body;
      expect(splat.kind).toBe('DEADLOCK');
      expect(splat.tasks).toHaveLength(2);
      const tasks: { call: string; holds: string[]; waitsFor: string }[] = splat.tasks;
      const round = tasks.find(({ holds }) => holds.some((lock) => /device_list_lock/.test(lock)));
      expect(round).toMatchObject({ call: 'unmap-dma', waitsFor: expect.stringMatching(/iommu->lock/) });
      const other = tasks.find((task) => task !== round)!;
      expect(other).toMatchObject({ ...inSplat, waitsFor: expect.stringMatching(/device_list_lock/) });
      expect(other.holds.join()).toMatch(/iommu->lock/);
      expect(splat.condition).toContain('unmap-dma');
    });

    test(`${name} while the callback unpins: the container is wedged, another one is not`, async () => {
      await holding();
      await prepare();
      const first = await heldUnmap();
      await started(close());
      await resume();
      const { splat } = (await answerOf(first))!.body;
      const answer = await rig.tryMap('0x90000', '0x1000');
      expectProblem(answer, { status: 423, slug: 'container-wedged' });
      expect(answer.body.splat).toEqual(splat);
      expect((await rig.get('containers/c0')).body.wedged).toEqual(splat);
      await ok(rig.post('containers', { container: 'c1' }));
      await ok(rig.post('devices', { device: 'd9', driver: synthetic('ignore') }));
      await ok(rig.post('containers/c1/attach', { device: 'd9' }));
      await rig.map('0x90000', '0x1000', { container: 'c1' });
    });
  }

  test('open requests are answered with EDEADLK as well', async () => {
    await holding();
    await rig.create('d1', synthetic('ignore'));
    const first = rig.unmap('0x10000', '0x1000');
    await callsUnderWay(1);
    const second = rig.post('devices/d1/open-device');
    await callsUnderWay(2);
    await resume();
    for (const answer of await Promise.all([first, second])) {
      expectProblem(answer, { status: 409, slug: 'deadlock', errno: 'EDEADLK', errnoNumber: 35 });
    }
  });

  test('a call that waits behind the cycle is answered 423 at once', async () => {
    await holding();
    await rig.create('d1', synthetic('ignore'));
    const first = await heldUnmap();
    await started(rig.post('devices/d1/open-device', {}, ASYNC));
    const behind = await started(rig.post('containers/c0/dirty-start', {}, ASYNC));
    await resume();
    const { splat } = (await answerOf(first))!.body;
    expect(await answerOf(behind.operation)).toMatchObject({ status: 423, body: { splat } });
    await callsUnderWay(0);
  });

  test('group-status of the device whose open hangs is answered 423, of the other 200', async () => {
    await holding();
    await rig.create('d1', synthetic('ignore'));
    await heldUnmap();
    await started(rig.post('devices/d1/open-device', {}, ASYNC));
    await resume();
    expectProblem(await rig.post('devices/d1/group-status'), { status: 423 });
    expect(await ok(rig.post('devices/d0/group-status'))).toEqual({ value: 3 });
  });
});

describe('waiting without a cycle', () => {
  test.each([
    ['open-device', () => rig.post('devices/d1/open-device', {}, ASYNC), 1],
    ['close-device', () => rig.post('devices/d2/close-device', {}, ASYNC), 0],
    ['unmap-dma', () => rig.unmap('0x20000', '0x1000', ASYNC), null],
  ])('%s waits for the round and ends well when the callback does not unpin', async (call, wait, open) => {
    await holding();
    await rig.create('d1', synthetic('ignore'));
    await rig.create('d2', synthetic('unpin-range'));
    await ok(rig.post('devices/d2/open-device'));
    await rig.map('0x20000', '0x1000');
    await rig.pin('0x20000', 'd2');
    const first = await heldUnmap();
    await unpinFromOutside();
    const second = await started(wait());
    await resume();
    expect(await answerOf(first)).toMatchObject({ status: 200, body: { size: '0x1000' } });
    expect(await answerOf(second.operation)).toMatchObject({ status: 200 });
    if (call === 'unmap-dma') {
      expect((await rig.get('containers/c0')).body.iommu).toMatchObject({ mappings: 0, pins: 0 });
    } else {
      const device = call === 'open-device' ? 'd1' : 'd2';
      expect((await rig.get(`devices/${device}`)).body.openCount).toBe(open);
    }
  });

  test('a device opened during the round is not called in it', async () => {
    await holding();
    await rig.create('d1', synthetic('ignore'));
    const first = await heldUnmap();
    await unpinFromOutside();
    await started(rig.post('devices/d1/open-device', {}, ASYNC));
    await resume();
    expect((await answerOf(first))!.body.invalidations).toEqual([
      { device: 'd0', iova: '0x10000', length: '0x1000' },
    ]);
  });

  test('calls that wait for the lock run in the order in which they came', async () => {
    await holding();
    await rig.create('d1', synthetic('ignore'));
    const first = await heldUnmap();
    await unpinFromOutside();
    const { seq } = (await rig.request('GET', '/v1')).body;
    await started(rig.post('devices/d1/open-device', {}, ASYNC));
    const order = ['0x90000', '0x30000', '0x70000', '0x50000'];
    const operations = [];
    for (const iova of order) {
      const body = { iova, vaddr: 0, size: '0x1000', flags: 3 };
      operations.push(await started(rig.post('containers/c0/map-dma', body, ASYNC)));
    }
    // Of two maps of one range the one that came first gets it.
    const late = await started(
      rig.post('containers/c0/map-dma', { iova: '0x70000', vaddr: 0, size: '0x1000', flags: 3 }, ASYNC),
    );
    await resume();
    expect(await answeredCalls(seq)).toEqual(['resume-callbacks', 'open-device', ...order, '0x70000']);
    for (const { operation } of operations) expect(await answerOf(operation)).toMatchObject({ status: 200 });
    expect(await answerOf(late.operation)).toMatchObject({ status: 409, body: { errno: 'EEXIST' } });
    expect(await answerOf(first)).toMatchObject({ status: 200 });
  });
});

describe('limits and ends', () => {
  test('a call beyond the number that may be under way is answered 429 and does nothing', async () => {
    await rig.start({ maxPendingCalls: 2 });
    await holding();
    await rig.create('d1', synthetic('ignore'));
    await heldUnmap();
    await started(rig.post('devices/d1/open-device', {}, ASYNC));
    const before = await rig.state();
    expectProblem(await rig.tryMap('0x90000', '0x1000'), { status: 429, slug: 'too-many', detail: ['2'] });
    expect(await rig.state()).toEqual(before);
  });

  test('resume-callbacks is not refused when as many calls are under way as may be', async () => {
    await rig.start({ maxPendingCalls: 1 });
    await holding();
    const operation = await heldUnmap();
    expectProblem(await rig.tryMap('0x90000', '0x1000'), { status: 429 });
    await resume();
    expect(await answerOf(operation)).toMatchObject({ status: 200 });
  });

  test('reset answers the request that was open, and its operation is gone', async () => {
    await holding();
    await rig.create('d1', synthetic('ignore'));
    const open = rig.unmap('0x10000', '0x1000');
    await callsUnderWay(1);
    const { operation } = await started(rig.post('devices/d1/open-device', {}, ASYNC));
    const waiting = rig.get(`operations/${operation}?wait=1&timeoutMs=60000`);
    await rig.get('operations/none');
    await ok(rig.post('reset'));
    expectProblem(await open, { status: 503, slug: 'abandoned', detail: ['unmap-dma', 'reset'] });
    expect((await waiting).body).toMatchObject({ done: true, answer: { status: 503 } });
    expectProblem(await rig.get(`operations/${operation}`), { status: 404 });
    await callsUnderWay(0);
    expect((await rig.get('containers')).body.containers).toEqual([]);
  });

  test('reset answers an attach that waits', async () => {
    await holding();
    await ok(rig.post('devices', { device: 'd1', driver: synthetic('ignore') }));
    await heldUnmap();
    const open = rig.post('containers/c0/attach', { device: 'd1' });
    await callsUnderWay(2);
    await ok(rig.post('reset'));
    expectProblem(await open, { status: 503, slug: 'abandoned' });
  });

  test('after a reset the same ids hold callbacks of their own', async () => {
    await holding();
    await heldUnmap();
    await ok(rig.post('reset'));
    await holding();
    const operation = await heldUnmap();
    await resume();
    expect(await answerOf(operation)).toMatchObject({ status: 200, body: { size: '0x1000' } });
  });

  test('close of the service answers the request that was open', async () => {
    await holding();
    const open = rig.unmap('0x10000', '0x1000');
    await callsUnderWay(1);
    await rig.close();
    expectProblem(await open, { status: 503, slug: 'abandoned', detail: ['stopped'] });
  });
});
