import { afterEach, expect, test, vi } from 'vitest';
import type { JournalEvent } from '../../schemas/events.ts';
import { EventStream, NDJSON } from '../../src/host/event-stream.ts';
import { type EventFilter, Journal } from '../../src/host/journal.ts';
import { useRig } from '../harness/http-rig.ts';

const rig = useRig();
afterEach(() => void vi.restoreAllMocks());

const open = (container: string) => rig.http('POST', '/v1/containers', { container });

/** The lines of a live stream, as they come. */
async function* lines(
  accept: string,
  query = '',
  headers: Record<string, string> = {},
): AsyncGenerator<string> {
  const response = await rig.app.inject({
    url: `/v1/events${query}`,
    headers: { accept, ...headers },
    payloadAsStream: true,
  });
  expect(response.headers['content-type']).toContain(accept);
  let rest = '';
  for await (const chunk of response.stream()) {
    rest += String(chunk);
    const parts = rest.split('\n');
    rest = parts.pop()!;
    yield* parts;
  }
}

async function next(stream: AsyncGenerator<string>): Promise<Record<string, unknown>> {
  const { value } = await stream.next();
  return JSON.parse(value as string) as Record<string, unknown>;
}

test('wait=1 answers at once when a matching event exists', async () => {
  await open('c0');
  const { body } = await rig.http('GET', '/v1/events?kind=call&wait=1&timeoutMs=60000');
  expect(body.events).toEqual([expect.objectContaining({ kind: 'call', container: 'c0' })]);
});

test('wait=1 answers when a matching event happens, not before', async () => {
  const waiting = rig.http('GET', '/v1/events?kind=call&container=c1&wait=1&timeoutMs=60000');
  await open('c0');
  await open('c1');
  const { body } = await waiting;
  expect(body.events).toEqual([expect.objectContaining({ kind: 'call', container: 'c1' })]);
});

test('wait=1 answers an empty page when its time is over', async () => {
  const { status, body } = await rig.http('GET', '/v1/events?wait=1&timeoutMs=20');
  expect([status, body.events]).toEqual([200, []]);
});

test('a reset ends a wait and says so', async () => {
  const waiting = rig.http('GET', '/v1/events?container=c9&wait=1&timeoutMs=60000');
  await open('c0');
  await rig.http('POST', '/v1/reset');
  expect((await waiting).body.ended).toBe('reset');
});

test('NDJSON streams what is there and what comes, and ends with the reason', async () => {
  await open('c0');
  const stream = lines('application/x-ndjson', '?kind=call');
  expect(await next(stream)).toMatchObject({ kind: 'call', container: 'c0' });
  const coming = next(stream);
  await open('c1');
  expect(await coming).toMatchObject({ kind: 'call', container: 'c1' });
  const last = next(stream);
  await rig.http('DELETE', '/v1/rigs/default');
  expect(await last).toEqual({ kind: 'end', reason: 'the rig was deleted' });
  expect((await stream.next()).done).toBe(true);
});

test('SSE carries the seq as id, and Last-Event-ID resumes behind it', async () => {
  await open('c0');
  await open('c1');
  const stream = lines('text/event-stream', '', { 'last-event-id': '2' });
  const first = [];
  for (let i = 0; i < 4; i++) first.push((await stream.next()).value);
  expect(first.slice(0, 2)).toEqual(['id: 3', 'event: call']);
  expect(first[2]).toMatch(/^data: \{"seq":3,/);
  expect(first[3]).toBe('');
});

test('open streams end when the service closes', async () => {
  const stream = lines('application/x-ndjson');
  const last = next(stream);
  await new Promise((resolve) => setImmediate(resolve));
  await rig.close();
  expect(await last).toEqual({ kind: 'end', reason: 'the service was stopped' });
});

/** A call's entry. */
const entry = (call: string) => ({ seq: 0, kind: 'call' as const, call: { call } });

test('a reader too slow for the ring is let go with the reason, without a queue', async () => {
  const journal = new Journal(10);
  const stream = new EventStream(journal, { since: 0, limit: 1 }, NDJSON);
  journal.append(entry('first'));
  const reader = stream[Symbol.asyncIterator]();
  expect(JSON.parse((await reader.next()).value as string)).toMatchObject({ call: { call: 'first' } });
  // What the stream itself buffers ahead, and then more than the ring holds.
  for (let i = 0; i < 200_000 && stream.readableLength < stream.readableHighWaterMark; i++) {
    journal.append(entry('x'.repeat(1000)));
  }
  for (let i = 0; i < 20; i++) journal.append(entry('dropped'));
  let last = '';
  for await (const chunk of { [Symbol.asyncIterator]: () => reader }) last = chunk as string;
  expect(String(last).trimEnd().split('\n').at(-1)).toBe(
    '{"kind":"end","reason":"events were dropped before this reader took them"}',
  );
});

/** What streams of one journal write that stand at its end when entries are appended. */
async function writtenTo(filters: Partial<EventFilter>[], append: (journal: Journal) => void) {
  const journal = new Journal(100);
  append(journal);
  const at = journal.seq;
  const written = filters.map((filter) => {
    const seqs: number[] = [];
    const stream = new EventStream(journal, { since: at, limit: 1, ...filter }, NDJSON);
    stream.on('data', (chunk) => {
      for (const line of String(chunk).trimEnd().split('\n')) seqs.push(JSON.parse(line).seq - at);
    });
    return seqs;
  });
  await new Promise((resolve) => setImmediate(resolve));
  append(journal);
  await new Promise<void>((resolve) => journal.listen(resolve));
  await rounds(20);
  return written;
}

/** So many rounds of the event loop: who has no turn in one has it in another. */
async function rounds(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock on which every look takes a millisecond: a turn is over after a few. The one in which the last test's rig ended is over. */
async function slowClock(): Promise<void> {
  await rounds(1);
  let now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => now++);
}

test('however many read, others have their turn in between: when something happens, and when all is over', async () => {
  await slowClock();
  const journal = new Journal(100);
  let told = 0;
  for (let i = 0; i < 100; i++) journal.listen(() => void told++);
  journal.append(entry('sleep'));
  let most = 0;
  for (let i = 0; told < 100; i++) {
    const before = told;
    await rounds(1);
    most = Math.max(most, told - before);
    expect(i).toBeLessThan(100_000);
  }
  expect(most).toBeLessThan(20);
  journal.end('over');
  expect(told).toBeLessThan(120);
  await rounds(300);
  expect(told).toBe(200);
});

test('who has left before its turn is not told', async () => {
  await slowClock();
  const journal = new Journal(100);
  const told: number[] = [];
  const leave = Array.from({ length: 50 }, (_, i) => journal.listen(() => void told.push(i)));
  journal.end('over');
  leave[49]!();
  await rounds(300);
  expect(told).toEqual(Array.from({ length: 49 }, (_, i) => i));
});

test('an entry is not written out for each who reads it, in however many turns they do', async () => {
  await slowClock();
  const journal = new Journal(1000);
  let written = 0;
  const event = (one: JournalEvent) => {
    written++;
    return NDJSON.event(one);
  };
  const read = Array.from({ length: 200 }, () => {
    const seqs: number[] = [];
    const stream = new EventStream(journal, { since: 0, limit: 1 }, { ...NDJSON, event });
    stream.on('data', (chunk) => {
      for (const line of String(chunk).trimEnd().split('\n')) seqs.push(JSON.parse(line).seq);
    });
    return seqs;
  });
  const all = Array.from({ length: 40 }, (_, i) => i + 1);
  for (const _ of all) {
    journal.append(entry('sleep'));
    await rounds(10);
  }
  for (let i = 0; read.some(({ length }) => length < 40); i++) {
    await rounds(1);
    expect(i).toBeLessThan(100_000);
  }
  for (const seqs of read) expect(seqs).toEqual(all);
  expect(written).toBeLessThan((200 * 40) / 2);
});

/** Entries that differ in all that a filter can want. */
const appendSome = (journal: Journal) => {
  const fault = { kind: 'fault' as const, call: { call: 'map-dma' }, fault: 'f0' };
  journal.append({ ...entry('sleep'), container: 'c0' });
  journal.append({ ...entry('sleep'), device: 'd0' });
  journal.append({ ...fault, errno: 'ENOMEM' } as never);
  journal.append({ ...fault, errno: 'EINVAL' } as never);
  journal.append({ kind: 'splat', call: 1, splat: { kind: 'bug' } } as never);
};

test.each<[string, Partial<EventFilter>, number[]]>([
  ['one kind', { kind: 'call' }, [1, 2]],
  ['one container', { container: 'c0' }, [1]],
  ['one device', { device: 'd0' }, [2]],
  ['one call', { call: 'sleep' }, [1, 2]],
  ['another call', { call: 'map-dma' }, [3, 4]],
  ['one errno', { errno: 'EINVAL' }, [4]],
  ['one splat', { splat: 'bug' }, [5]],
  ['what there is not', { call: 'reset' }, []],
])('two streams at one place, one of which wants %s alone, each get their own', async (_, filter, wanted) => {
  const all = [1, 2, 3, 4, 5];
  expect(await writtenTo([{}, filter, {}], appendSome)).toEqual([all, wanted, all]);
  expect(await writtenTo([filter, {}, filter], appendSome)).toEqual([wanted, all, wanted]);
});
