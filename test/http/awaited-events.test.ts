import { beforeEach, describe, expect, test } from 'vitest';
import { ASYNC, ok, useRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();
beforeEach(() => rig.container(synthetic('ignore')));

interface Entry {
  seq: number;
  kind: string;
  call: string | { call: string };
  errno?: string;
}
const events = async (query: string): Promise<Entry[]> => (await ok(rig.get(`events?${query}`))).events;
const names = (entries: readonly Entry[]) =>
  entries.map(({ kind, call }) => `${kind} ${typeof call === 'string' ? call : call.call}`);

describe('entries are filtered', () => {
  test('by the call that made them happen, which all of them name', async () => {
    await rig.bug();
    const entries = await events('call=unmap-dma');
    expect(new Set(names(entries))).toEqual(
      new Set([
        'call unmap-dma',
        'invalidation unmap-dma',
        'splat unmap-dma',
        'advisory unmap-dma',
        'answer unmap-dma',
      ]),
    );
    expect(names(await events('call=map-dma'))).toEqual(['call map-dma', 'answer map-dma']);
  });

  test('by errno, or by there being none', async () => {
    await rig.tryMap('0x1', '0x1000');
    await rig.tryMap('0x1000', '0x1000');
    expect(names(await events('errno=EINVAL'))).toEqual(['answer map-dma']);
    expect(names(await events('errno=none&call=map-dma'))).toEqual(['answer map-dma']);
    await ok(rig.post('faults', { on: 'map-dma', nth: 1, errno: 'EINVAL' }));
    await rig.tryMap('0x9000', '0x1000');
    expect((await events('errno=EINVAL')).map(({ kind }) => kind)).toEqual(['answer', 'fault', 'answer']);
  });

  test('a call that did not return is answered neither with an errno nor with none', async () => {
    await rig.bug();
    expect(await events('call=unmap-dma&errno=none')).toEqual([]);
    expect((await events('call=unmap-dma&kind=answer')).map(({ errno }) => errno)).toEqual([null]);
  });

  test('by the kind of a splat, together with a device and a container', async () => {
    await rig.bug();
    expect(names(await events('splat=BUG_ON'))).toEqual(['splat unmap-dma']);
    expect(await events('splat=WARN_ON')).toEqual([]);
    expect((await events('splat=BUG_ON&container=c0')).length).toBe(1);
    expect(await events('splat=BUG_ON&container=c1')).toEqual([]);
    expect((await events('device=d0&kind=invalidation')).length).toBe(11);
  });

  test('in a stream too', async () => {
    await rig.bug();
    const answer = rig.app.inject({
      url: '/v1/events?splat=BUG_ON',
      headers: { accept: 'application/x-ndjson' },
    });
    await rig.app.inject({ url: '/v1/events?wait=1&timeoutMs=1' });
    await rig.post('reset');
    const lines = (await answer).body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ kind }) => kind)).toEqual(['splat', 'end']);
  });
});

describe('count', () => {
  test('waits until so many match', async () => {
    const waiting = rig.get('events?wait=1&call=map-dma&kind=answer&count=3');
    for (const iova of ['0x1000', '0x2000', '0x3000']) await rig.map(iova, '0x1000');
    const { events: found, timedOut } = await ok(waiting);
    expect([found.length, timedOut]).toEqual([3, undefined]);
  });

  test('that is not reached in time says so, with what is there', async () => {
    await rig.map('0x1000', '0x1000');
    const page = await ok(rig.get('events?wait=1&call=map-dma&kind=answer&count=2&timeoutMs=5'));
    expect(page).toMatchObject({ timedOut: true, timeoutMs: 5, events: [{ call: 'map-dma' }] });
  });

  test.each([
    ['count=2', 'querystring/count is for a page that is waited for'],
    ['until=no-pins&container=c0', 'querystring/until is for a page that is waited for'],
    ['wait=1&until=no-pins', 'querystring/container is missing'],
    ['wait=1&until=no-pins&container=c0&count=1', 'one of them'],
    ['wait=1&until=quiet&container=c0', 'querystring/until is "quiet"'],
    ['wait=1&count=0', 'querystring/count is "0"'],
    ['errno=7', 'querystring/errno is "7"'],
  ])('%s is refused', async (query, detail) => {
    expectProblem(await rig.get(`events?${query}`), { status: 400, detail: [detail] });
  });
});

describe('until=no-pins', () => {
  test('waits until a container has no pins left', async () => {
    await rig.map('0x10000', '0x2000');
    await rig.pin('0x10000');
    await rig.pin('0x11000');
    let over = false;
    const waiting = rig.get('events?wait=1&until=no-pins&container=c0&kind=splat').then((answer) => {
      over = true;
      return answer;
    });
    await ok(rig.post('devices/d0/unpin-pages', { iova: '0x10000', npage: 1 }));
    await ok(rig.get('events?wait=1&call=unpin-pages&kind=answer'));
    expect(over).toBe(false);
    await ok(rig.post('devices/d0/unpin-pages', { iova: '0x11000', npage: 1 }));
    expect(await ok(waiting)).toMatchObject({ events: [] });
    expect((await waiting).body).not.toHaveProperty('timedOut');
  });

  test('is over at once where there are none, when the time is over where there are, and 404 without the container', async () => {
    expect((await rig.get('events?wait=1&until=no-pins&container=c0')).body).not.toHaveProperty('timedOut');
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    const late = await rig.get('events?wait=1&until=no-pins&container=c0&timeoutMs=5');
    expect(late.body).toMatchObject({ timedOut: true });
    expect((await rig.get('events?wait=1&until=no-pins&container=c9')).status).toBe(404);
  });
});

describe('what is under way', () => {
  beforeEach(async () => {
    await rig.post('reset');
    await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
  });

  test('a container shows the unmap, and its device the callback that is held', async () => {
    expect(await ok(rig.get('containers/c0'))).not.toHaveProperty('underway');
    await rig.unmap('0x10000', '0x1000', ASYNC);
    const callback = {
      call: 'dma-unmap',
      device: 'd0',
      mode: 'held',
      iova: '0x10000',
      length: '0x1000',
      attempt: 1,
      round: 1,
    };
    const { underway } = await ok(rig.get('containers/c0'));
    expect(underway).toEqual([
      {
        seq: expect.any(Number),
        call: { call: 'unmap-dma', container: 'c0', iova: '0x10000', size: '0x1000' },
        waitsFor: 'the dma-unmap callback of d0',
        callback,
      },
    ]);
    expect((await ok(rig.get('devices/d0'))).callback).toEqual({ ...callback, of: underway[0].seq });
    expect((await ok(rig.get('containers'))).containers[0].underway).toEqual(underway);
    expect((await ok(rig.get('devices'))).devices[0].callback.of).toBe(underway[0].seq);
    await ok(rig.post('devices/d0/resume-callbacks'));
    expect(await ok(rig.get('containers/c0'))).not.toHaveProperty('underway');
    expect(await ok(rig.get('devices/d0'))).not.toHaveProperty('callback');
  });

  test('operations are listed with their calls and the status of their answers (here of a deadlock), by page', async () => {
    expect(await ok(rig.get('operations'))).toEqual({ operations: [] });
    await rig.unmap('0x10000', '0x1000', ASYNC);
    await ok(rig.post('devices', { device: 'd1', driver: synthetic('ignore') }));
    await rig.post('containers/c0/attach', { device: 'd1' }, ASYNC);
    const calls = [
      { call: 'unmap-dma', container: 'c0', iova: '0x10000', size: '0x1000' },
      { call: 'attach', container: 'c0', device: 'd1' },
    ];
    const list = (await ok(rig.get('operations'))).operations;
    expect(list).toEqual([
      { operation: 'op0', call: calls[0], done: false },
      { operation: 'op1', call: calls[1], done: false },
    ]);
    await ok(rig.post('devices/d0/resume-callbacks'));
    await ok(rig.get('operations/op1?wait=1'));
    const first = await ok(rig.get('operations?limit=1'));
    expect(first).toEqual({
      operations: [{ operation: 'op0', call: calls[0], done: true, status: 409 }],
      next: 'op0',
    });
    const next = await ok(rig.get('operations?after=op0'));
    expect(next).toEqual({ operations: [{ operation: 'op1', call: calls[1], done: true, status: 409 }] });
  });
});
