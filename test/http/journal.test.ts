import { describe, expect, test } from 'vitest';
import { ASYNC, ok, startRig, useRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

interface Event {
  seq: number;
  kind: string;
  cause?: number;
  container?: string;
  device?: string;
  call?: { call: string };
  [field: string]: unknown;
}

const rig = useRig();

const page = (query = '') => ok(rig.get(`events${query}`));
const events = async (query = ''): Promise<Event[]> => (await page(query)).events;
const seqNow = async (): Promise<number> => (await rig.request('GET', '/v1')).body.seq;

describe('entries', () => {
  test('are numbered from 1 without a gap', async () => {
    await rig.container(synthetic('ignore'));
    await rig.bug();
    const seqs = (await events()).map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    expect(await seqNow()).toBe(seqs.length);
  });

  test('a call is one entry with its call object and request, its answer another that names it', async () => {
    await rig.container(synthetic('ignore'));
    const since = await seqNow();
    const args = { iova: '0x10000', vaddr: 0, size: '0x01000', flags: ['read'] };
    await ok(rig.post('containers/c0/map-dma', args, { 'x-request-id': 'map-1' }));
    expect(await events(`?since=${since}`)).toEqual([
      {
        seq: since + 1,
        kind: 'call',
        container: 'c0',
        reqId: 'map-1',
        call: { call: 'map-dma', container: 'c0', ...args },
      },
      {
        seq: since + 2,
        kind: 'answer',
        cause: since + 1,
        call: 'map-dma',
        container: 'c0',
        how: 'returned',
        errno: null,
      },
    ]);
  });

  test('a refusal of the kernel is an answer with its errno', async () => {
    await rig.container(synthetic('ignore'));
    const since = await seqNow();
    await rig.post('devices/d0/pin-pages', { iova: 0, npage: 513, prot: 0 });
    expect((await events(`?since=${since}`))[1]).toMatchObject({
      kind: 'answer',
      how: 'returned',
      errno: 'E2BIG',
      device: 'd0',
      container: 'c0',
    });
  });

  test('a refusal before the kernel leaves no entry', async () => {
    await rig.container(synthetic('ignore'));
    const since = await seqNow();
    expectProblem(await rig.post('containers/c0/map-dma', {}), { status: 400 });
    expectProblem(await rig.post('containers/c9/dirty-start'), { status: 404 });
    expectProblem(await rig.post('devices', {}), { status: 400 });
    expect(await events(`?since=${since}`)).toEqual([]);
  });

  test('reading leaves no entry, except the call iommu-info', async () => {
    await rig.container(synthetic('ignore'));
    const since = await seqNow();
    for (const path of ['containers', 'containers/c0/pins', 'devices/d0', 'events']) await ok(rig.get(path));
    expect(await seqNow()).toBe(since);
    await ok(rig.get('containers/c0/iommu-info'));
    expect((await events(`?since=${since}`)).map(({ kind }) => kind)).toEqual(['call', 'answer']);
  });

  test('the BUG_ON: call, eleven invalidations with their attempts, splat, answer, in this order', async () => {
    await rig.container(synthetic('ignore'));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    const since = await seqNow();
    const { splat } = (await rig.unmap('0x10000', '0x1000')).body;
    const all = (await events(`?since=${since}`)).filter(({ kind }) => kind !== 'advisory');
    expect(all.map(({ kind }) => kind)).toEqual([
      'call',
      ...Array(11).fill('invalidation'),
      'splat',
      'answer',
    ]);
    const [call, ...caused] = all;
    expect(caused.every(({ cause }) => cause === call!.seq)).toBe(true);
    expect(all.slice(1, 12)).toEqual(
      Array.from({ length: 11 }, (_, i) =>
        expect.objectContaining({
          device: 'd0',
          iova: '0x10000',
          length: '0x1000',
          attempt: i + 1,
          round: i + 1,
        }),
      ),
    );
    expect(all[12]).toMatchObject({ splat });
    expect(all[13]).toMatchObject({ how: 'killed', errno: null });
  });

  test('a held callback is there before the call is answered', async () => {
    await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    const since = await seqNow();
    expect((await rig.unmap('0x10000', '0x1000', ASYNC)).status).toBe(202);
    expect((await events(`?since=${since}`)).map(({ kind }) => kind)).toEqual(['call', 'invalidation']);
    await ok(rig.post('devices/d0/resume-callbacks'));
    const [resumed] = await events(`?since=${since + 2}`);
    expect(resumed!.call).toEqual({ call: 'resume-callbacks', device: 'd0' });
    const answers = (await events(`?since=${since}&kind=answer`)).map(({ cause }) => cause);
    expect(answers.sort()).toEqual([since + 1, resumed!.seq].sort());
  });

  test('a reset begins a new journal', async () => {
    await rig.container(synthetic('ignore'));
    await ok(rig.post('reset'));
    expect(await page()).toEqual({ events: [], truncated: false, next: 0 });
    await ok(rig.post('containers'));
    expect((await events()).map(({ seq }) => seq)).toEqual([1, 2]);
  });
});

describe('GET /v1/events', () => {
  /** Two containers with a device each, in which something happened. */
  async function traffic(): Promise<void> {
    await rig.container(synthetic('unpin-range'));
    await ok(rig.post('containers', { container: 'c1' }));
    await rig.create('d1', synthetic('unpin-range'), { container: 'c1', type: 'type1v2' });
    await ok(rig.post('devices/d1/open-device'));
    await rig.map('0x10000', '0x1000');
    await rig.map('0x20000', '0x1000', { container: 'c1' });
    await rig.pin('0x10000');
    await ok(rig.unmap('0x10000', '0x1000'));
    await ok(rig.post('devices/d1/unpin-pages', { iova: 0, npage: 0 }));
  }

  test.each(['call', 'answer', 'invalidation', 'splat'])(
    'kind=%s gives these and all of these',
    async (kind) => {
      await traffic();
      const wanted = (await events()).filter((event) => event.kind === kind);
      expect(wanted).not.toEqual([]);
      expect(await events(`?kind=${kind}`)).toEqual(wanted);
    },
  );

  test.each(['c0', 'c1'])('container=%s gives what happened there', async (container) => {
    await traffic();
    const wanted = (await events()).filter((event) => event.container === container);
    expect(wanted).not.toEqual([]);
    expect(await events(`?container=${container}`)).toEqual(wanted);
  });

  test('device=d0 gives its calls and the callbacks to it', async () => {
    await traffic();
    const found = await events('?device=d0');
    expect(found).toEqual((await events()).filter((event) => event.device === 'd0'));
    expect(found.map(({ kind }) => kind)).toContain('invalidation');
  });

  test('filters are joined with and', async () => {
    await traffic();
    expect(await events('?container=c1&device=d1&kind=splat')).toHaveLength(1);
    expect(await events('?container=c0&device=d1')).toEqual([]);
  });

  test('pages by limit and next, filtered, meet every entry once', async () => {
    await traffic();
    const wanted = await events('?kind=answer');
    const met: Event[] = [];
    for (let since = 0, more = true; more; ) {
      const { events: some, next } = await page(`?kind=answer&limit=3&since=${since}`);
      expect(some.length).toBeLessThanOrEqual(3);
      met.push(...some);
      more = some.length > 0;
      since = next;
    }
    expect(met).toEqual(wanted);
  });

  test('since the newest gives nothing and the same place to go on', async () => {
    await traffic();
    const seq = await seqNow();
    expect(await page(`?since=${seq}`)).toEqual({ events: [], truncated: false, next: seq });
  });

  test('entries beyond the number kept are gone, and the page says so', async () => {
    const small = await startRig({ maxJournal: 5 });
    try {
      for (let i = 0; i < 4; i++) await ok(small.post('containers'));
      const all = await ok(small.get('events'));
      expect(all.events.map((event: Event) => event.seq)).toEqual([4, 5, 6, 7, 8]);
      expect(all).toMatchObject({ truncated: true, next: 8 });
      expect((await ok(small.get('events?since=3'))).truncated).toBe(false);
      expect((await ok(small.get('events?since=2'))).truncated).toBe(true);
      expect((await ok(small.get('events?since=6'))).events.map((event: Event) => event.seq)).toEqual([7, 8]);
    } finally {
      await small.close();
    }
  });

  test.each([
    ['since=-1', 'since'],
    ['since=0x10', 'since'],
    ['since=1.5', 'since'],
    ['since=', 'since'],
    ['limit=0', 'limit'],
    ['limit=many', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['after=1', 'after'],
  ])('with %s is refused with 400', async (query, named) => {
    expectProblem(await rig.get(`events?${query}`), { status: 400, detail: [`querystring/${named}`] });
  });
});
