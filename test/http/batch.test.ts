import { once } from 'node:events';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { beforeEach, expect, test } from 'vitest';
import { ok, startRig, useRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig({ bodyLimit: 1024 });
beforeEach(() => ok(rig.post('containers', { container: 'c0' })));

const NDJSON = { 'content-type': 'application/x-ndjson' };
const LINE = '{"call":"check-extension","container":"c0","extension":1}';
const ANSWER = { status: 200, body: { value: 1 } };

function inject(payload: string): Promise<{ status: number; body: Record<string, unknown> }[]> {
  return rig.app.inject({ method: 'POST', url: '/v1/batch', payload, headers: NDJSON }).then(({ body }) =>
    body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  );
}

/** A batch over a connection of its own: a stream of lines in, one of answers out. */
async function open() {
  await rig.listen();
  const { port } = rig;
  const req = request({
    agent: false,
    port,
    host: '127.0.0.1',
    path: '/v1/batch',
    method: 'POST',
    headers: NDJSON,
  });
  req.flushHeaders();
  const answers = (async function* () {
    const [response] = await once(req, 'response');
    yield* createInterface({ input: response });
  })();
  const next = async () => JSON.parse(String((await answers.next()).value));
  return { req, next };
}

test('a client that sends half a line and waits gets what is due', async () => {
  const { req, next } = await open();
  req.write(`${LINE}\n${LINE}\n${LINE.slice(0, 20)}`);
  expect([await next(), await next()]).toEqual([ANSWER, ANSWER]);
  req.end(LINE.slice(20));
  expect(await next()).toEqual(ANSWER);
});

test('what is due goes out before a call is waited for', async () => {
  await ok(rig.post('devices', { device: 'd0', driver: { type: 'manual', openDevice: true } }));
  const { req, next } = await open();
  req.write(`${LINE}\n{"call":"attach","container":"c0","device":"d0"}\n${LINE}\n`);
  expect(await next()).toEqual(ANSWER);
  await ok(rig.post('devices/d0/complete-callback'));
  expect((await next()).body).toMatchObject({ device: 'd0' });
  expect(await next()).toEqual(ANSWER);
  req.end();
});

test('a line over the limit is answered 413 in words, and the lines after it as usual', async () => {
  const long = `{"call":"check-extension","container":"${'c'.repeat(2000)}","extension":1}`;
  const answers = await inject(`${LINE}\n${long}\n${LINE}\n`);
  expect(answers).toEqual([
    ANSWER,
    {
      status: 413,
      body: expect.objectContaining({ title: 'Too large', detail: 'a line is longer than 1024 bytes' }),
    },
    ANSWER,
  ]);
});

test('a line over the limit that comes in pieces is passed over to its end', async () => {
  const { req, next } = await open();
  for (let i = 0; i < 5; i++) req.write('x'.repeat(500));
  expect(await next()).toMatchObject({ status: 413 });
  req.end(`still the same line\n${LINE}`);
  expect(await next()).toEqual(ANSWER);
});

test('a long batch lets others have their turn: /health is answered before it is done', async () => {
  const done: string[] = [];
  const batch = inject(`${LINE}\n`.repeat(30_000)).then((answers) => {
    done.push('batch');
    return answers;
  });
  await new Promise((resolve) => setImmediate(resolve));
  const health = rig.request('GET', '/health').then(() => done.push('health'));
  const [answers] = await Promise.all([batch, health]);
  expect(done).toEqual(['health', 'batch']);
  expect(answers.length).toBe(30_000);
});

test('a line that is no JSON, no object or no call is refused in its place', async () => {
  const details = (await inject(`{\n[1]\n"x"\n{"call":"none"}\n${LINE}`)).map(
    ({ body }) => body.detail ?? body,
  );
  expect(details).toEqual([
    'the line is not JSON',
    'call undefined is not a call of this host',
    'the line is not a JSON object',
    'call "none" is not a call of this host',
    ANSWER.body,
  ]);
});

test('async and await: started, gone on, and awaited', async () => {
  const driver = synthetic('unpin-range', { holdCallbacks: true });
  const lines = [
    { call: 'create-device', device: 'd0', driver },
    { call: 'attach', container: 'c0', device: 'd0' },
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 4096, flags: 3 },
    { call: 'pin-pages', device: 'd0', iova: 0, npage: 1, prot: 3 },
    { call: 'unmap-dma', container: 'c0', iova: 0, size: 4096, async: 'u' },
    { call: 'resume-callbacks', device: 'd0' },
    { call: 'await', of: 'u' },
    { call: 'await', of: 'u' },
  ];
  const answers = await inject(lines.map((line) => JSON.stringify(line)).join('\n'));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 202, 200, 200, 400]);
  expect(answers[6]?.body.size).toBe('0x1000');
});

test('a batch whose rig is deleted answers its further lines 503, and starts nothing in it', async () => {
  await ok(rig.post('devices', { device: 'd0', driver: { type: 'manual', openDevice: true } }));
  const { journal } = rig.service.rigOf(undefined, true).host;
  const { seq } = journal;
  const batch = inject(`{"call":"attach","container":"c0","device":"d0"}\n${LINE}\n${LINE}\n`);
  await ok(rig.get(`events?wait=1&kind=call&device=d0&since=${seq}`));
  await ok(rig.del('rigs/default'));
  expect((await batch).map(({ status }) => status)).toEqual([503, 503, 503]);
  const { events } = journal.read({ since: 0, limit: 1000 });
  const last = events.filter(({ kind }) => kind === 'call').at(-1);
  expect(last).toMatchObject({ call: { call: 'open-device' } });
});

test('a client that leaves in the middle of its batch is no failure of the service', async () => {
  const loud = await startRig({ logLevel: 'error' });
  try {
    await loud.listen();
    const gone = new Promise((resolve) => {
      loud.app.server.once('connection', (socket) => socket.once('close', resolve));
    });
    const { port } = loud;
    const options = {
      agent: false,
      port,
      host: '127.0.0.1',
      path: '/v1/batch',
      method: 'POST',
      headers: NDJSON,
    };
    const req = request(options);
    req.on('error', () => {});
    req.write(`${LINE}\n`);
    await once(req, 'response');
    req.destroy();
    await gone;
    await ok(loud.get('containers'));
    expect(loud.lines).toEqual([]);
  } finally {
    await loud.close();
  }
});

test('a batch with too many lines says in its last answer that it has ended, and the rest is not made', async () => {
  await rig.start({ maxBatchLines: 2 });
  await ok(rig.post('containers', { container: 'c0' }));
  const made = '{"call":"create-process","process":"late"}';
  const [one, two, last, ...more] = await inject(`${LINE}\n{"call":"none"}\n${made}\n${made}\n`);
  expect(one).toEqual(ANSWER);
  expect(two).toEqual({ status: 400, body: expect.anything() });
  expect(last).toMatchObject({
    ended: true,
    status: 413,
    body: { detail: expect.stringContaining('2 lines') },
  });
  expect(more).toEqual([]);
  expect((await rig.get('processes')).body.processes).toHaveLength(1);
});

test('a batch that goes on for long keeps its rig from being dropped as idle', async () => {
  const { req, next } = await open();
  req.write(`${LINE}\n`);
  expect(await next()).toEqual(ANSWER);
  const used = rig.service.rigOf(undefined, false);
  used.lastUsed = 0;
  req.end(`${LINE}\n`);
  expect(await next()).toEqual(ANSWER);
  expect(used.lastUsed).toBeGreaterThan(0);
});

test('what has come of a long line counts among the bodies under way; where there is no room it is refused in its place', async () => {
  await rig.start({ bodyLimit: 512 * 1024, bodyBytes: 300 * 1024 });
  await ok(rig.post('containers', { container: 'c0' }));
  const one = await open();
  one.req.write(`${LINE}\n"${'x'.repeat(200 * 1024)}`);
  expect(await one.next()).toEqual(ANSWER);
  await expect.poll(() => rig.service.bodies.used, { timeout: 20_000 }).toBeGreaterThanOrEqual(200 * 1024);
  const other = request({
    port: rig.port,
    host: '127.0.0.1',
    path: '/v1/batch',
    method: 'POST',
    headers: NDJSON,
  });
  other.write(`"${'x'.repeat(200 * 1024)}`);
  const [response] = await once(other, 'response');
  const lines = createInterface({ input: response })[Symbol.asyncIterator]();
  const refused = JSON.parse((await lines.next()).value);
  expect(refused).toMatchObject({ status: 429, body: { detail: expect.stringContaining('307200 bytes') } });
  other.write(`xxx"\n${LINE}\n`);
  expect(JSON.parse((await lines.next()).value)).toEqual(ANSWER);
  one.req.end('"\n');
  other.end();
  expect(await one.next()).toMatchObject({ status: 400 });
  await expect.poll(() => rig.service.bodies.used, { timeout: 20_000 }).toBe(0);
});

test('a batch whose first answer comes later than a request may take to arrive has that answer', async () => {
  await rig.start({ requestSeconds: 1 });
  await ok(rig.post('containers', { container: 'c0' }));
  await ok(rig.post('devices', { device: 'd0', driver: { type: 'manual', openDevice: true } }));
  const { req, next } = await open();
  let late: (error: Error) => void = () => {};
  const isLate = new Promise((resolve) => {
    late = resolve;
  });
  // The server says so of every request that has not come whole, be it answered or not.
  rig.app.server.prependListener('clientError', (error) => late(error));
  req.write('{"call":"attach","container":"c0","device":"d0"}\n');
  expect(await isLate).toMatchObject({ code: 'ERR_HTTP_REQUEST_TIMEOUT' });
  await ok(rig.post('devices/d0/complete-callback'));
  expect(await next()).toMatchObject({ status: 200, body: { device: 'd0' } });
  req.end();
});

test.each([
  ['{"call":"await"}', 'line/of is missing'],
  ['{"call":"await","of":["a"]}', 'line/of is ["a"]'],
  ['{"call":"await","of":"a","more":1}', 'line/more is not a known field'],
  ['{"call":"group-status","device":"d0","async":5}', 'line/async is 5'],
  [`{"call":"group-status","device":"d0","async":"${'x'.repeat(65)}"}`, 'line/async is "xxx'],
])('the line %s is refused: %s', async (line, detail) => {
  const [answer] = await inject(line);
  expect(answer).toMatchObject({ status: 400, body: { detail: expect.stringContaining(detail) } });
});

test('a name of a call that is still under way is no name for another one', async () => {
  await ok(rig.post('devices', { device: 'd0', driver: { type: 'manual', openDevice: true } }));
  const attach = '{"call":"attach","container":"c0","device":"d0","async":"a"}';
  const done = '{"call":"complete-callback","device":"d0"}';
  const answers = await inject(
    [attach, `${LINE.slice(0, -1)},"async":"a"}`, done, '{"call":"await","of":"a"}'].join('\n'),
  );
  expect(answers.map(({ status }) => status)).toEqual([202, 400, 200, 200]);
  expect(answers[1]!.body.detail).toContain('async is "a"');
  expect(answers[3]!.body).toMatchObject({ device: 'd0' });
});
