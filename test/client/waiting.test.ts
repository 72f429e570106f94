import { beforeEach, describe, expect, test } from 'vitest';
import type { JournalEvent, VfioHostClient } from '../../src/client/index.ts';
import { useRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();
let client: VfioHostClient;
beforeEach(async () => {
  client = await rig.listen();
});

const UNMAP = { iova: 0x10000n, size: 0x10000n };

describe('an operation', () => {
  test('is under way until its callback is let go, and then answers', async () => {
    await rig.pinned(synthetic('unpin-range', { holdCallbacks: true }));
    const unmap = await client.container('c0').begin('unmap-dma', UNMAP);
    expect(unmap.id).toBe('op0');
    expect(unmap.invalidations).toEqual([{ device: 'd0', iova: '0x10000', length: '0x10000' }]);
    expect(await unmap.done()).toBe(false);
    const answer = unmap.wait();
    await client.device('d0').resumeCallbacks();
    expect(await answer).toMatchObject({ size: '0x10000' });
    expect(await unmap.done()).toBe(true);
  });

  test('that need not wait is answered at once', async () => {
    const open = await client.begin('open-container', { container: 'c0' });
    expect([open.id, open.invalidations, await open.done()]).toEqual([null, [], true]);
    expect(await open.wait()).toEqual({ container: 'c0', process: 'p0' });
  });

  test('that is refused at once rejects', async () => {
    await client.openContainer({ container: 'c0' });
    await expect(client.begin('open-container', { container: 'c0' })).rejects.toMatchObject({
      errno: 'EEXIST',
    });
  });

  test('that ends badly rejects when it is waited for', async () => {
    await rig.pinned(synthetic('ignore', { holdCallbacks: true }));
    const unmap = await client.container('c0').begin('unmap-dma', UNMAP);
    await client.device('d0').resumeCallbacks();
    await expect(unmap.wait()).rejects.toMatchObject({ killed: true });
  });

  test('that is not answered in time rejects with a TimeoutError, and can be waited for again', async () => {
    await rig.pinned(synthetic('unpin-range', { holdCallbacks: true }));
    const unmap = await client.container('c0').begin('unmap-dma', UNMAP);
    await expect(unmap.wait({ timeoutMs: 20 })).rejects.toMatchObject({ name: 'TimeoutError' });
    await client.device('d0').resumeCallbacks();
    expect(await unmap.wait()).toMatchObject({ size: '0x10000' });
  });

  test('whose wait is given up rejects with the reason', async () => {
    await rig.pinned(synthetic('unpin-range', { holdCallbacks: true }));
    const unmap = await client.container('c0').begin('unmap-dma', UNMAP);
    const given = new AbortController();
    const answer = unmap.wait({ signal: given.signal });
    given.abort(new Error('enough'));
    await expect(answer).rejects.toThrow('enough');
  });
});

describe('events', () => {
  test('list gives what matches, at most so many', async () => {
    await client.openContainer({ container: 'c0' });
    await client.openContainer({ container: 'c1' });
    const { events, next, truncated } = await client.events.list({ kind: 'call', limit: 1 });
    expect(events).toEqual([expect.objectContaining({ seq: 1, kind: 'call', container: 'c0' })]);
    expect([next, truncated]).toEqual([1, false]);
    const rest = await client.events.list({ since: next, container: 'c1' });
    expect(rest.events.map(({ kind }) => kind)).toEqual(['call', 'answer']);
  });

  test('wait resolves with the first that matches, not before', async () => {
    const waiting = client.events.wait({ kind: 'call', container: 'c1' });
    await client.openContainer({ container: 'c0' });
    await client.openContainer({ container: 'c1' });
    expect(await waiting).toMatchObject({ kind: 'call', container: 'c1' });
  });

  test('wait rejects with a TimeoutError when nothing happens', async () => {
    await expect(client.events.wait({ kind: 'splat' }, { timeoutMs: 20 })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  test('wait rejects with the signal’s reason', async () => {
    const given = new AbortController();
    const waiting = client.events.wait({ kind: 'splat' }, { signal: given.signal });
    given.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });

  test('wait rejects when the rig is reset', async () => {
    await client.openContainer({ container: 'c0' });
    let over = false;
    const waiting = client.events.wait({ kind: 'splat' }).finally(() => {
      over = true;
    });
    const rejected = expect(waiting).rejects.toThrow('reset');
    // A reset before the wait has begun does not count.
    while (!over) await client.reset();
    await rejected;
  });

  test('stream gives what was and what comes, and returns the reason of its end', async () => {
    await client.openContainer({ container: 'c0' });
    const stream = client.events.stream({ kind: 'call' });
    expect((await stream.next()).value).toMatchObject({ container: 'c0' });
    const coming = stream.next();
    await client.openContainer({ container: 'c1' });
    expect((await coming).value).toMatchObject({ container: 'c1' });
    const last = stream.next();
    await client.reset();
    expect(await last).toEqual({ done: true, value: 'reset' });
  });

  test('stream that is left closes its connection', async () => {
    await client.openContainer({ container: 'c0' });
    const seen: JournalEvent[] = [];
    for await (const event of client.events.stream()) {
      seen.push(event);
      if (event.kind === 'answer') break;
    }
    expect(seen.map(({ seq }) => seq)).toEqual([1, 2]);
  });

  test('stream ends with the signal’s reason', async () => {
    await client.openContainer({ container: 'c0' });
    const given = new AbortController();
    const stream = client.events.stream({ kind: 'call' }, { signal: given.signal });
    await stream.next();
    const next = stream.next();
    given.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
  });

  test('stream goes on longer than a request may take', async () => {
    const hasty = rig.connect({ timeoutMs: 1000 });
    await client.openContainer({ container: 'c0' });
    const stream = hasty.events.stream({ kind: 'call' });
    await stream.next();
    const next = stream.next();
    await expect(client.events.wait({ kind: 'splat' }, { timeoutMs: 1200 })).rejects.toThrow();
    await client.openContainer({ container: 'c1' });
    expect((await next).value).toMatchObject({ container: 'c1' });
    await stream.return('');
  });

  test('stream that is refused rejects', async () => {
    const stream = client.events.stream({ since: -1 });
    await expect(stream.next()).rejects.toMatchObject({ status: 400 });
  });
});
