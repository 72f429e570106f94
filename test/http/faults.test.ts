import { beforeEach, expect, test } from 'vitest';
import type { Scenario } from '../../src/replay/scenario.ts';
import { useRig } from '../harness/http-rig.ts';

const rig = useRig();
beforeEach(async () => {
  await rig.http('POST', '/v1/containers', {});
  await rig.http('POST', '/v1/devices', { driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } });
  await rig.http('POST', '/v1/containers/c0/attach', { device: 'd0' });
});

const fault = (rule: object) => rig.http('POST', '/v1/faults', rule);
const map = (page: number) =>
  rig.http('POST', '/v1/containers/c0/map-dma', { iova: page * 4096, vaddr: 0, size: 4096, flags: 3 });
const unmap = (page: number) =>
  rig.http('POST', '/v1/containers/c0/unmap-dma', { iova: page * 4096, size: 4096 });

test('nth: the second map fails with the errno, once, and maps nothing', async () => {
  expect((await fault({ on: 'map-dma', nth: 2, errno: 'ENOMEM' })).body).toEqual({ fault: 'f0' });
  const errnos = [];
  for (let i = 0; i < 4; i++) errnos.push((await map(i)).body.errno);
  expect(errnos).toEqual([undefined, 'ENOMEM', undefined, undefined]);
  const { body } = await rig.http('GET', '/v1/containers/c0/mappings');
  expect((body.mappings as { iova: string }[]).map(({ iova }) => iova)).toEqual(['0x0', '0x2000', '0x3000']);
  expect((await rig.http('GET', '/v1/faults')).body.faults).toEqual([
    { fault: 'f0', on: 'map-dma', nth: 2, errno: 'ENOMEM', seen: 4, struck: 1 },
  ]);
});

test('every: each third map fails until the rule is removed', async () => {
  await fault({ fault: 'third', on: 'map-dma', every: 3, errno: 'ENOSPC', container: 'c0' });
  const errnos = [];
  for (let i = 0; i < 6; i++) errnos.push((await map(i)).body.errno);
  expect((await rig.http('DELETE', '/v1/faults/third')).status).toBe(204);
  for (let i = 6; i < 9; i++) errnos.push((await map(i)).body.errno);
  const ok = undefined;
  expect(errnos).toEqual([ok, ok, 'ENOSPC', ok, ok, 'ENOSPC', ok, ok, ok]);
});

test('dropCallback: the driver never sees the callback, and type1 asks again', async () => {
  await fault({ on: 'dma-unmap', nth: 1, dropCallback: true });
  await map(0);
  await rig.http('POST', '/v1/devices/d0/pin-pages', { iova: 0, npage: 1, prot: 3 });
  const { body } = await unmap(0);
  expect([body.size, (body.invalidations as unknown[]).length]).toEqual(['0x1000', 2]);
});

test('dropCallback at every callback ends in the BUG', async () => {
  await fault({ on: 'dma-unmap', every: 1, dropCallback: true, device: 'd0' });
  await map(0);
  await rig.http('POST', '/v1/devices/d0/pin-pages', { iova: 0, npage: 1, prot: 3 });
  expect((await unmap(0)).body.killed).toBe(true);
});

test('delayMs: calls made meanwhile come first', async () => {
  await fault({ on: 'map-dma', nth: 1, delayMs: 30 });
  const late = map(0);
  expect((await unmap(0)).body.size).toBe('0x0');
  expect((await late).status).toBe(200);
  expect((await unmap(0)).body.size).toBe('0x1000');
});

test('a delayed call of a batch is a call under way, until its rig ends', async () => {
  await fault({ on: 'map-dma', nth: 1, delayMs: 60_000 });
  const late = rig.app.inject({
    method: 'POST',
    url: '/v1/batch',
    headers: { 'content-type': 'application/x-ndjson' },
    payload: '{"call":"map-dma","container":"c0","iova":0,"vaddr":0,"size":4096,"flags":3}\n',
  });
  await rig.http('GET', '/v1/events?kind=fault&wait=1');
  expect((await rig.http('GET', '/v1')).body.counts).toMatchObject({ pendingCalls: 1 });
  expect((await rig.http('GET', '/v1/rigs')).body).toMatchObject({ rigs: [{ pendingCalls: 1 }] });
  await rig.http('POST', '/v1/reset');
  expect(JSON.parse((await late).body)).toMatchObject({ status: 503 });
  expect((await rig.http('GET', '/v1')).body.counts).toMatchObject({ pendingCalls: 0 });
});

test('a delayed call is answered 503 when the rig is reset', async () => {
  await fault({ on: 'map-dma', nth: 1, delayMs: 60_000 });
  const late = map(0);
  await rig.http('GET', '/v1/events?kind=fault&wait=1');
  await rig.http('POST', '/v1/reset');
  expect((await late).status).toBe(503);
});

test.each([
  ['the rig is reset', () => rig.http('POST', '/v1/reset')],
  ['the rig is deleted', () => rig.http('DELETE', '/v1/rigs/default')],
  ['the service stops', () => rig.close()],
])(
  'a delayed call whose caller does not wait is abandoned when %s, and no promise is left',
  async (_when, end) => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      await fault({ on: 'map-dma', nth: 1, delayMs: 60_000 });
      const { host, operations } = rig.service.rigs.use('default');
      const body = { iova: 0, vaddr: 0, size: 4096, flags: 3 };
      const prefer = { prefer: 'respond-async' };
      expect((await rig.http('POST', '/v1/containers/c0/map-dma', body, prefer)).status).toBe(202);
      const { started } = operations.get('op0');
      expect(host.machine.underway()).toEqual(['map-dma is delayed by a fault']);
      await end();
      expect(started.answer?.end).toMatchObject({ how: 'crashed', error: { slug: 'abandoned' } });
      // A rejection that nobody has handled is told of after the microtasks.
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  },
);

test('a delayed call whose container has gone by then is answered 404', async () => {
  await fault({ on: 'map-dma', nth: 1, delayMs: 20 });
  const other = await rig.http('POST', '/v1/containers', {});
  const late = rig.http('POST', `/v1/containers/${other.body.container}/map-dma`, {
    iova: 0,
    vaddr: 0,
    size: 4096,
    flags: 3,
  });
  await rig.http('DELETE', `/v1/containers/${other.body.container}`);
  expect((await late).body).toMatchObject({ status: 404, detail: 'there is no container "c1"' });
});

test('a trace with faults replays with no difference and without waiting', async () => {
  await fault({ on: 'map-dma', nth: 2, errno: 'ENOMEM' });
  await fault({ on: 'unmap-dma', nth: 1, delayMs: 30 });
  for (let i = 0; i < 3; i++) await map(i);
  await unmap(2);
  const trace = (await rig.http('GET', '/v1/trace')).body as unknown as Scenario;
  const { body } = await rig.http('POST', '/v1/replay', trace);
  expect(body.differences).toEqual([]);
});

test.each([
  [{ on: 'map-dma', errno: 'ENOMEM' }, 'exactly one of "nth", "every" and "probability"'],
  [{ on: 'map-dma', nth: 1, every: 1, errno: 'ENOMEM' }, 'exactly one of "nth", "every" and "probability"'],
  [{ on: 'map-dma', nth: 1 }, 'exactly one of "errno", "delayMs" and "dropCallback"'],
  [{ on: 'map-dma', nth: 1, errno: 'ENOSUCH' }, '"ENOSUCH" is no errno'],
  [{ on: 'map-dma', nth: 1, dropCallback: true }, '"dropCallback" is for dma-unmap'],
  [{ on: 'map-dmaa', nth: 1, errno: 'ENOMEM' }, '"map-dmaa" is not a call that can fail'],
  [{ on: 'map-dma', nth: 0, errno: 'ENOMEM' }, 'body/nth is 0'],
])('the rule %j is refused', async (rule, words) => {
  const { status, body } = await fault(rule);
  expect(status).toBe(400);
  expect(body.detail).toContain(words);
  expect((await rig.http('GET', '/v1/faults')).body.faults).toEqual([]);
});

test('a reset removes every rule', async () => {
  await fault({ on: 'map-dma', nth: 1, errno: 'ENOMEM' });
  await rig.http('POST', '/v1/reset');
  expect((await rig.http('GET', '/v1/faults')).body.faults).toEqual([]);
});

/** Which of so many maps of a fresh rig a rule strikes. */
async function struckOf(rule: object, maps = 60): Promise<number[]> {
  await rig.http('POST', '/v1/setup', {
    containers: [{}],
    devices: [{ driver: { type: 'synthetic', onDmaUnmap: 'ignore' }, container: 'c0' }],
    faults: [rule],
  });
  const struck = [];
  for (let i = 0; i < maps; i++) if ((await map(i)).status !== 200) struck.push(i);
  return struck;
}

test('probability: so many of the calls fail, the same ones for the same seed, others for another', async () => {
  const rule = { on: 'map-dma', probability: 0.25, seed: 7, errno: 'ENOMEM' };
  const first = await struckOf(rule);
  expect(first.length).toBeGreaterThan(5);
  expect(first.length).toBeLessThan(30);
  expect(await struckOf(rule)).toEqual(first);
  expect(await struckOf({ ...rule, seed: 8 })).not.toEqual(first);
  expect(await struckOf({ ...rule, probability: 1 }, 5)).toEqual([0, 1, 2, 3, 4]);
});

test('probability goes on where a snapshot left it', async () => {
  const rule = { on: 'map-dma', probability: 0.5, seed: 3, errno: 'ENOMEM' };
  const whole = await struckOf(rule, 40);
  const begun = await struckOf(rule, 20);
  const { body: snapshot } = await rig.http('GET', '/v1/snapshot');
  await rig.http('POST', '/v1/reset');
  await rig.http('PUT', '/v1/snapshot', snapshot);
  for (let i = 20; i < 40; i++) if ((await map(i)).status !== 200) begun.push(i);
  expect(begun).toEqual(whole);
});

test('jitterMs: a delay is up to so much longer, the same for the same seed', async () => {
  const delays = async () => {
    await struckOf({ on: 'map-dma', every: 1, delayMs: 1, jitterMs: 3, seed: 5 }, 12);
    const { events } = (await rig.http('GET', '/v1/events?kind=fault')).body as {
      events: { delayMs: number }[];
    };
    return events.map(({ delayMs }) => delayMs);
  };
  const first = await delays();
  expect(new Set(first).size).toBeGreaterThan(1);
  for (const delay of first) expect([1, 2, 3, 4]).toContain(delay);
  expect(await delays()).toEqual(first);
});

test('paused faults strike and count nothing until they are resumed; one, or all', async () => {
  await fault({ fault: 'a', on: 'map-dma', every: 1, errno: 'ENOMEM' });
  await fault({ fault: 'b', on: 'unmap-dma', every: 1, errno: 'EIO' });
  const paused = async () =>
    ((await rig.http('GET', '/v1/faults')).body.faults as { paused?: boolean; seen: number }[]).map((one) => [
      one.paused,
      one.seen,
    ]);
  expect((await rig.http('POST', '/v1/pause-faults', { fault: 'a' })).status).toBe(200);
  expect([(await map(0)).status, (await unmap(0)).body.errno]).toEqual([200, 'EIO']);
  expect(await paused()).toEqual([
    [true, 0],
    [undefined, 1],
  ]);
  await rig.http('POST', '/v1/pause-faults');
  expect((await unmap(0)).status).toBe(200);
  await rig.http('POST', '/v1/resume-faults');
  expect([(await map(0)).body.errno, (await unmap(0)).body.errno]).toEqual(['ENOMEM', 'EIO']);
});

test('DELETE of all faults removes every rule', async () => {
  await fault({ on: 'map-dma', every: 1, errno: 'ENOMEM' });
  await fault({ on: 'unmap-dma', every: 1, errno: 'EIO' });
  expect((await rig.http('DELETE', '/v1/faults')).status).toBe(204);
  expect((await rig.http('GET', '/v1/faults')).body.faults).toEqual([]);
  expect((await map(0)).status).toBe(200);
  expect((await fault({ on: 'map-dma', every: 1, errno: 'ENOMEM' })).body).toEqual({ fault: 'f2' });
});
