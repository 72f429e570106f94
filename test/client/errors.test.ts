import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { beforeEach, expect, test } from 'vitest';
import { VfioHostClient, VfioHostError } from '../../src/client/index.ts';
import { useRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { all } from './all.ts';

const rig = useRig();
let client: VfioHostClient;
beforeEach(async () => {
  client = await rig.listen();
});

/** The VfioHostError a request rejects with. */
async function refused(request: Promise<unknown>): Promise<VfioHostError> {
  const error = await request.then(
    () => expect.fail('it was not refused'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(VfioHostError);
  return error as VfioHostError;
}

test('a kernel’s refusal has its errno, status and problem', async () => {
  await rig.pinned(synthetic('unpin-range'));
  const c0 = client.container('c0');
  const error = await refused(c0.mapDma({ iova: 0x10000, vaddr: 0, size: 0x1000, flags: ['read'] }));
  expect(error).toMatchObject({ status: 409, errno: 'EEXIST', killed: false, wedged: false });
  expect(error.problem).toMatchObject({ call: 'map-dma', errnoNumber: 17 });
  expect(error.message).toBe(error.problem.detail);
  expect([error.log, error.invalidations]).toEqual([[], []]);
});

test('a request refused before any kernel has no errno', async () => {
  const error = await refused(client.container('c9').setIommu({ type: 3 }));
  expect(error).toMatchObject({ status: 404, errno: undefined });
  // @ts-expect-error an argument that is none
  expect(await refused(client.openContainer({ contaner: 'c0' }))).toMatchObject({ status: 400 });
});

test('a BUG_ON kills the call, with its log and callbacks, and wedges the container', async () => {
  await rig.pinned(synthetic('ignore'));
  const c0 = client.container('c0');
  const killed = await refused(c0.unmapDma({ iova: 0x10000, size: 0x10000 }));
  expect(killed).toMatchObject({ status: 409, killed: true, wedged: false, errno: undefined });
  expect(killed.log.map(({ kind }) => kind)).toEqual(['BUG_ON']);
  expect(killed.invalidations).toHaveLength(11);
  const wedged = await refused(c0.mapDma({ iova: 0x90000, vaddr: 0, size: 0x1000, flags: ['read'] }));
  expect(wedged).toMatchObject({ status: 423, killed: false, wedged: true });
});

test('raw gives a refusal as an answer', async () => {
  expect(await client.raw('open-container', { container: 'c0' })).toEqual({
    status: 201,
    body: { container: 'c0', process: 'p0' },
  });
  expect(await client.raw('open-container', { container: 'c0' })).toMatchObject({
    status: 409,
    body: { errno: 'EEXIST' },
  });
});

test('an id that a path could misread stays one id', async () => {
  expect(await refused(client.container('../rigs').get())).toMatchObject({ status: 400 });
  expect(await refused(client.device('a?b').openGroup())).toMatchObject({ status: 400 });
});

test('an answer that is not the host’s is an error with its status', async () => {
  const proxy = createServer((_request, response) => response.writeHead(502).end('<h1>Bad Gateway</h1>'));
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const behind = rig.connect({ url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/path/` });
  const error = await refused(behind.openContainer());
  expect(error).toMatchObject({ status: 502, errno: undefined, wedged: false });
  expect(error.message).toContain('Bad Gateway');
  proxy.close();
});

test('a path in the url is a prefix', async () => {
  const asked: (string | undefined)[] = [];
  const proxy = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"containers":[]}');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const behind = rig.connect({ url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/vfio/` });
  await all(behind.containers());
  expect(asked).toEqual(['/vfio/v1/containers?limit=1000']);
  proxy.close();
});

test('a call that is given up rejects with the signal’s reason', async () => {
  await rig.pinned(synthetic('unpin-range', { holdCallbacks: true }));
  const given = new AbortController();
  const unmap = client.container('c0').unmapDma({ iova: 0x10000, size: 0x10000 }, { signal: given.signal });
  await client.events.wait({ kind: 'invalidation' });
  given.abort(new Error('enough'));
  await expect(unmap).rejects.toThrow('enough');
});

test('a call that takes too long rejects with a TimeoutError', async () => {
  await rig.pinned(synthetic('unpin-range', { holdCallbacks: true }));
  const unmap = client.container('c0').unmapDma({ iova: 0x10000, size: 0x10000 }, { timeoutMs: 20 });
  await expect(unmap).rejects.toMatchObject({ name: 'TimeoutError' });
});

test('the client’s timeout is for every request', async () => {
  await rig.pinned(synthetic('unpin-range', { holdCallbacks: true }));
  const hasty = rig.connect({ timeoutMs: 20 });
  const unmap = hasty.container('c0').unmapDma({ iova: 0x10000, size: 0x10000 });
  await expect(unmap).rejects.toMatchObject({ name: 'TimeoutError' });
});

test('close ends what is under way, and leaves a given dispatcher open', async () => {
  const dispatcher = new Agent();
  const first = new VfioHostClient({ url: rig.url, dispatcher });
  await first.openContainer();
  await first.close();
  const second = new VfioHostClient({ url: rig.url, dispatcher });
  await second.openContainer();
  await dispatcher.close();

  const own = rig.connect();
  const waiting = own.events.wait({ kind: 'splat' });
  const ended = expect(waiting).rejects.toThrow();
  await own.close();
  await ended;
  await expect(own.openContainer()).rejects.toThrow();
});

test('a host that is not there rejects with the reason', async () => {
  const { url } = rig;
  await rig.close();
  const lost = new VfioHostClient({ url });
  await expect(lost.openContainer()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await lost.close();
});
