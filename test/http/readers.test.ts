import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { ASYNC, type HttpRig, ok, startRig } from '../harness/http-rig.ts';

let rig: HttpRig;
afterEach(() => rig.close());

/** A call that waits for a driver outside, as an operation. */
async function pending(): Promise<string> {
  await ok(rig.post('containers', { container: 'c0' }));
  await ok(rig.post('devices', { device: 'd0', driver: { type: 'manual', openDevice: true } }));
  const { body } = await rig.post('containers/c0/attach', { device: 'd0' }, ASYNC);
  return body.operation as string;
}

async function metric(name: string): Promise<number> {
  const { body } = await rig.app.inject('/metrics');
  return Number(new RegExp(`^vfio_host_${name} (\\d+)$`, 'm').exec(body)?.[1]);
}

/** The one rig of this test. */
const theRig = () => rig.service.rigs.use('default');

test('who waits for an operation in vain leaves nothing behind', async () => {
  rig = await startRig();
  const operation = await pending();
  for (let i = 0; i < 20; i++) {
    const { body } = await rig.get(`operations/${operation}?wait=1&timeoutMs=1`);
    expect(body).toMatchObject({ done: false, timedOut: true });
  }
  expect(theRig().operations.get(operation).waiters.size).toBe(0);
  expect(theRig().readers).toBe(0);
});

test('who waits for an operation is a reader: counted, limited, and keeps its rig', async () => {
  rig = await startRig({ maxReaders: 2 });
  const operation = await pending();
  const url = `operations/${operation}?wait=1&timeoutMs=60000`;
  const waits = [rig.get(url), rig.get('events?wait=1&kind=splat&timeoutMs=60000')];
  while (theRig().readers < 2) await new Promise(setImmediate);
  expect([await metric('readers'), await metric('operations')]).toEqual([2, 1]);
  expect(theRig().isBusy).toBe(true);
  for (const one of [url, 'events?wait=1']) {
    const { status, body } = await rig.get(one);
    expect([status, body.type]).toEqual([429, 'urn:vfio-host:problem:too-many']);
  }
  expect((await rig.request('GET', '/v1/events', undefined, { accept: 'text/event-stream' })).status).toBe(
    429,
  );
  await ok(rig.post('devices/d0/complete-callback', {}));
  expect((await waits[0]!).body).toMatchObject({ done: true });
  await ok(rig.post('reset'));
  expect((await waits[1]!).body).toMatchObject({ ended: expect.any(String) });
  expect([await metric('readers'), theRig().readers]).toEqual([0, 0]);
});

test('a call that a fault delays is counted until it begins, or its rig goes', async () => {
  rig = await startRig();
  await ok(rig.post('containers', { container: 'c0' }));
  await ok(rig.post('faults', { on: 'check-extension', nth: 1, delayMs: 60_000 }));
  const delayed = rig.post('containers/c0/check-extension', { extension: 1 });
  while (theRig().host.machine.delayed.size < 1) await new Promise(setImmediate);
  expect(await metric('delayed_calls')).toBe(1);
  await ok(rig.post('reset'));
  expect((await delayed).status).toBe(503);
  expect(await metric('delayed_calls')).toBe(0);
});

test('connections are counted as they come and go', async () => {
  rig = await startRig();
  await rig.app.listen({ host: '127.0.0.1', port: 0 });
  const socket = connect(rig.port, '127.0.0.1');
  await once(rig.app.server, 'connection');
  expect(await metric('connections')).toBe(1);
  socket.destroy();
  while (rig.service.connections > 0) await new Promise(setImmediate);
  expect(await metric('connections')).toBe(0);
});

/** How many promises come true in one round of the event loop at most, on a clock on which every look takes a millisecond. */
async function mostAtOnce(promises: Promise<unknown>[], end: () => void): Promise<number> {
  let done = 0;
  for (const promise of promises) void promise.then(() => done++);
  let now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now++);
  try {
    end();
    let most = 0;
    for (let i = 0; done < promises.length; i++) {
      const before = done;
      await new Promise(setImmediate);
      most = Math.max(most, done - before);
      expect(i).toBeLessThan(100_000);
    }
    return most;
  } finally {
    clock.mockRestore();
  }
}

test('of many who waited for the same each is answered in a turn of its own', async () => {
  rig = await startRig();
  const waits = Array.from({ length: 100 }, () => rig.get('events?wait=1&kind=splat&timeoutMs=60000'));
  while (theRig().readers < 100) await new Promise(setImmediate);
  const reset = () => rig.service.reset(theRig());
  expect(await mostAtOnce(waits, reset)).toBeLessThan(20);
  expect((await waits[99]!).body).toMatchObject({ ended: 'reset' });
});

test('of many calls that are ended together each is answered in a turn of its own', async () => {
  rig = await startRig();
  await ok(rig.post('faults', { on: 'open-container', every: 1, delayMs: 60_000 }));
  const calls = Array.from({ length: 100 }, () => rig.post('containers'));
  while (theRig().host.machine.pendingCalls < 100) await new Promise(setImmediate);
  const reset = () => rig.service.reset(theRig());
  expect(await mostAtOnce(calls, reset)).toBeLessThan(20);
  expect((await calls[99]!).status).toBe(503);
});

test('at a stop all are told in one turn: the time to stop is short, and nobody else is served', async () => {
  rig = await startRig();
  const waits = Array.from({ length: 100 }, () => rig.get('events?wait=1&kind=splat&timeoutMs=60000'));
  while (theRig().readers < 100) await new Promise(setImmediate);
  expect(await mostAtOnce(waits, () => void rig.service.close())).toBeGreaterThan(90);
  expect((await waits[99]!).body).toMatchObject({ ended: 'the service was stopped' });
});
