import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Config } from '../../src/config.ts';
import { type HttpRig, ok, startRig } from '../harness/http-rig.ts';
import { type RawAnswer, rawAnswers } from '../harness/raw-answers.ts';
import { synthetic } from '../harness/test-rig.ts';
import { Random } from '../simulation/random.ts';

let rig: HttpRig;
/** The service's ends of the connections, in the order in which they came. */
let accepted: Socket[] = [];

async function listen(config: Partial<Config> = {}): Promise<void> {
  rig = await startRig({ logLevel: 'error', ...config });
  accepted = [];
  rig.app.server.on('connection', (socket) => accepted.push(socket));
  await rig.listen();
  await ok(rig.post('containers', { container: 'c0' }));
}

beforeEach(() => listen());
afterEach(async () => {
  const errors = rig.lines.filter(({ err }) => err !== undefined);
  await rig.close();
  expect(errors).toEqual([]);
});

const LINE = '{"call":"check-extension","container":"c0","extension":1}\n';
const ANSWER = '{"status":200,"body":{"value":1}}\n';
const HEAD = 'HTTP/1.1\r\nhost: localhost\r\n';
const BATCH = `POST /v1/batch ${HEAD}content-type: application/x-ndjson\r\n`;

const get = (path: string) => `GET ${path} ${HEAD}\r\n`;
const sized = (head: string, body: string) =>
  `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const post = (path: string, body: object) =>
  sized(`POST ${path} ${HEAD}content-type: application/json\r\n`, JSON.stringify(body));
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

/** A connection of which every byte is looked at. */
class Raw {
  readonly socket = connect({ port: rig.port, host: '127.0.0.1', allowHalfOpen: true });
  private readonly chunks: Buffer[] = [];
  private readonly closed = new Promise((resolve) => this.socket.once('close', resolve));

  constructor() {
    this.socket.on('data', (data) => this.chunks.push(data));
    this.socket.on('error', () => {});
    this.socket.on('end', () => this.socket.end());
  }

  get answers(): RawAnswer[] {
    return rawAnswers(Buffer.concat(this.chunks));
  }

  /** Text that is still to come. */
  async text(part: string): Promise<void> {
    while (!Buffer.concat(this.chunks).includes(part)) await once(this.socket, 'data');
  }

  /** So many whole answers; then it leaves. */
  async whole(count: number): Promise<RawAnswer[]> {
    let last = this.answers;
    while (last.length < count || !last.at(-1)!.isWhole) {
      await once(this.socket, 'data');
      // Looking through all of it at each piece would take its time.
      if (/0\r\n\r\n$|\n$/.test(this.chunks.at(-1)!.toString('latin1'))) last = this.answers;
    }
    this.socket.destroy();
    return last;
  }

  /** What came until the service closed it. */
  async end(): Promise<RawAnswer[]> {
    await this.closed;
    return this.answers;
  }
}

test('batches cut anywhere, answered to readers that pause, are framed well and answered in full', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = new Random(seed);
  await Promise.all(
    Array.from({ length: 6 }, async (_, i) => {
      const count = 500 + random.upTo(4000);
      // Longer in bytes than in characters.
      const wrong = `{"call":"${'ü😀'.repeat(random.upTo(200))}"}\n`;
      const text = `${LINE.repeat(count)}${wrong}${LINE}`;
      const isSized = i % 2 === 0;
      const raw = new Raw();
      const { socket } = raw;
      socket.on('data', () => {
        if (random.upTo(3) > 0) return;
        socket.pause();
        setImmediate(() => socket.resume());
      });
      socket.write(
        isSized
          ? `${BATCH}content-length: ${Buffer.byteLength(text)}\r\n\r\n`
          : `${BATCH}transfer-encoding: chunked\r\n\r\n`,
      );
      for (let rest = Buffer.from(text); rest.length > 0; ) {
        const part = rest.subarray(0, 1 + random.upTo(20_000));
        rest = rest.subarray(part.length);
        if (!isSized) socket.write(`${part.length.toString(16)}\r\n`);
        socket.write(part);
        if (!isSized) socket.write('\r\n');
        await turn();
      }
      if (!isSized) socket.write('0\r\n\r\n');
      const [answer] = await raw.whole(1);
      const lines = answer!.body.split('\n');
      expect(lines.length, `seed ${seed}`).toBe(count + 3);
      expect(lines.filter((line) => `${line}\n` === ANSWER).length, `seed ${seed}`).toBe(count + 1);
    }),
  );
});

test('answers of every length to requests sent without waiting are framed well and in order', async () => {
  await ok(rig.post('processes/p0/write-memory', { vaddr: '0x0', data: 'QUJD'.repeat(100_000) }));
  const memory = (length: number) => post('/v1/processes/p0/read-memory', { vaddr: '0x0', length });
  const texts = [
    get('/health'),
    memory(300_000),
    sized(BATCH, LINE.repeat(3000)),
    memory(10),
    get('/nothing'),
  ];
  const raw = new Raw();
  for (let i = 0; i < 12; i++) raw.socket.write(texts.join(''));
  const answers = await raw.whole(60);
  expect(answers.map(({ status }) => status)).toEqual(
    Array.from({ length: 12 }, () => [200, 200, 200, 200, 404]).flat(),
  );
  for (const i of [0, 5, 55]) {
    const [health, long, batch, short] = answers.slice(i).map(({ body }) => body);
    expect(health).toContain('ok');
    expect(long!.length).toBeGreaterThan(400_000);
    expect(batch).toBe(ANSWER.repeat(3000));
    expect(JSON.parse(short!).data).toBe('QUJDQUJDQUJDQQ==');
  }
});

test.each([
  ['ends', `${BATCH}content-length: 10000\r\n\r\n${LINE}`, (socket: Socket) => socket.end()],
  [
    'breaks',
    `${BATCH}transfer-encoding: chunked\r\n\r\n${chunk(LINE)}`,
    (socket: Socket) => socket.write('zz\r\n'),
  ],
] as const)('a batch that %s in the middle has nothing but its own answer', async (_how, text, broken) => {
  const raw = new Raw();
  raw.socket.write(text);
  await raw.text(ANSWER);
  broken(raw.socket);
  const answers = await raw.end();
  expect(answers).toMatchObject([{ status: 200, body: ANSWER }]);
});

test('what is no request is refused in words, when those before it are answered', async () => {
  await ok(rig.post('reset'));
  await rig.pinned(synthetic('unpin-range', { holdCallbacks: true }));
  const unmap = post('/v1/containers/c0/unmap-dma', { iova: '0x10000', size: '0x10000' });
  const raw = new Raw();
  raw.socket.write(`${unmap}${get('/health')}BROKEN\r\n\r\n`);
  await ok(rig.get('events?wait=1&kind=invalidation'));
  await ok(rig.post('devices/d0/resume-callbacks'));
  const answers = await raw.end();
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 400]);
  expect(answers[2]!.head).toContain('application/problem+json');
  expect(JSON.parse(answers[2]!.body)).toMatchObject({ status: 400, title: 'Malformed request' });
});

test('a request that does not come whole in time is refused with 408 in words', async () => {
  await rig.close();
  await listen({ requestSeconds: 1 });
  const raw = new Raw();
  raw.socket.write(
    `POST /v1/containers ${HEAD}content-type: application/json\r\ncontent-length: 10\r\n\r\n{`,
  );
  const answers = await raw.end();
  expect(answers.map(({ status }) => status)).toEqual([408]);
  expect(JSON.parse(answers[0]!.body)).toMatchObject({ status: 408 });
});

test('a batch of which nothing more comes in time is told so in a last line, and closed', async () => {
  await rig.close();
  await listen({ requestSeconds: 1 });
  const raw = new Raw();
  raw.socket.write(`${BATCH}transfer-encoding: chunked\r\n\r\n${chunk(LINE)}`);
  const [answer, ...more] = await raw.end();
  expect(more).toEqual([]);
  expect(answer!.isWhole).toBe(true);
  const [first, last] = answer!.body.trimEnd().split('\n');
  expect(`${first}\n`).toBe(ANSWER);
  expect(JSON.parse(last!)).toMatchObject({
    ended: true,
    status: 408,
    body: { detail: 'nothing more of the body has come for 1 s, the limit here' },
  });
});

test('a batch may come for longer than other requests, as long as it comes', async () => {
  const raw = new Raw();
  raw.socket.write(`${BATCH}transfer-encoding: chunked\r\n\r\n${chunk(LINE)}`);
  await raw.text(ANSWER);
  const late = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
  rig.app.server.emit('clientError', late, accepted.at(-1)!);
  raw.socket.write(`${chunk(LINE)}0\r\n\r\n${get('/health')}`);
  const answers = await raw.whole(2);
  expect(answers).toMatchObject([
    { status: 200, body: `${ANSWER}${ANSWER}`, isWhole: true },
    { status: 200 },
  ]);
});

test('a batch that is stopped in the middle says so in a last line, however much is still to come', async () => {
  const raw = new Raw();
  raw.socket.write(`${BATCH}transfer-encoding: chunked\r\n\r\n${chunk(LINE)}`);
  await raw.text(ANSWER);
  rig.service.batches.stop('the test has seen enough');
  raw.socket.write(chunk(LINE.repeat(20_000)));
  const [answer, ...more] = await raw.end();
  expect(more).toEqual([]);
  expect(answer!.isWhole).toBe(true);
  expect(JSON.parse(answer!.body.trimEnd().split('\n').at(-1)!)).toMatchObject({ status: 503 });
});
