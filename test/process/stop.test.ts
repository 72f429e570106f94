import { once } from 'node:events';
import { createServer as createHttpServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { COMPILE_MS, compile, type Program, type Running, start } from '../harness/program.ts';

let program: Program;
beforeAll(() => {
  program = compile();
}, COMPILE_MS);
afterAll(() => program.remove());

let running: Running | null = null;
afterEach(async () => {
  running?.kill('SIGKILL');
  await running?.end;
  running = null;
});

/** What came of a request: an answer, or how its connection ended. */
interface Outcome {
  status: number | null;
  text: string;
  /** Whether all of an answer came. */
  whole: boolean;
}

const JSON_BODY = { 'content-type': 'application/json' };
const LINES = { 'content-type': 'application/x-ndjson' };

/** Makes a request; `began` is there with the first of its answer. */
function ask(
  url: string,
  path: string,
  {
    method = 'POST',
    body = '',
    headers = {},
  }: { method?: string; body?: string; headers?: Record<string, string> } = {},
): { began: Promise<void>; outcome: Promise<Outcome> } {
  let begin: () => void;
  const began = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const outcome = new Promise<Outcome>((resolve) => {
    const sent = request(`${url}${path}`, { method, headers: { ...JSON_BODY, ...headers }, agent: false });
    const got: Outcome = { status: null, text: '', whole: false };
    const over = () => {
      begin();
      resolve(got);
    };
    sent.on('response', (response) => {
      got.status = response.statusCode!;
      response.setEncoding('utf8').on('data', (text: string) => {
        got.text += text;
        begin();
      });
      response.on('end', () => {
        got.whole = true;
      });
      response.on('error', () => {});
      response.on('close', over);
    });
    sent.on('error', over);
    sent.end(body);
  });
  return { began, outcome };
}

/** A trace of many steps, several times. */
function longReplay(): string {
  const steps = [
    { call: 'open-container', container: 'c' },
    ...Array.from({ length: 5000 }, () => ({ call: 'check-extension', container: 'c', extension: 1 })),
  ];
  return `${JSON.stringify({ id: 'long', kernel: '6.1', steps })}\n`.repeat(60);
}

test('SIGTERM under load: every request is answered or its connection closed, streams say why, exit code 0', async () => {
  running = start(program, ['--log-level', 'info'], { PORT: '0' });
  const url = await running.ready;
  // A driver that never answers.
  const driver = createHttpServer(() => {});
  driver.listen(0, '127.0.0.1');
  await once(driver, 'listening');
  const { port } = driver.address() as AddressInfo;
  const called = once(driver, 'request');
  const setup = [
    { call: 'open-container', container: 'c0' },
    {
      call: 'create-device',
      device: 'w0',
      driver: { type: 'webhook', url: `http://127.0.0.1:${port}/`, timeoutMs: 60_000 },
    },
    { call: 'create-device', device: 'm0', driver: { type: 'manual', openDevice: true } },
    { call: 'attach', container: 'c0', device: 'w0' },
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 4096, flags: 3 },
    { call: 'pin-pages', device: 'w0', iova: 0, npage: 1, prot: 3 },
    { call: 'open-container', container: 'c1' },
  ];
  const made = ask(url, '/v1/batch', {
    headers: LINES,
    body: setup.map((call) => `${JSON.stringify(call)}\n`).join(''),
  });
  expect((await made.outcome).status).toBe(200);

  const streams = ['text/event-stream', 'application/x-ndjson'].map((accept) =>
    ask(url, '/v1/events', { method: 'GET', headers: { accept } }),
  );
  await Promise.all(streams.map(({ began }) => began));
  const unmap = ask(url, '/v1/containers/c0/unmap-dma', { body: '{"iova":0,"size":4096}' });
  await called;
  const check = '{"call":"check-extension","container":"c1","extension":1}';
  const attach = '{"call":"attach","container":"c1","device":"m0"}';
  const batch = ask(url, '/v1/batch', { headers: LINES, body: `${check}\n${attach}\n${check}\n` });
  await batch.began;
  const wait = ask(url, '/v1/events?wait=1&timeoutMs=60000&since=100000', { method: 'GET' });
  const replay = ask(url, '/v1/replay', { headers: LINES, body: longReplay() });
  await replay.began;
  const { hostname, port: own } = new URL(url);
  const slow = connect(Number(own), hostname);
  slow.on('error', () => {});
  slow.write(
    'POST /v1/reset HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{',
  );
  const slowGone = once(slow, 'close');
  let asking = true;
  const hammer = async (): Promise<Outcome[]> => {
    const outcomes: Outcome[] = [];
    while (asking) {
      const outcome = await ask(url, '/v1/containers/c1/check-extension', { body: '{"extension":1}' })
        .outcome;
      outcomes.push(outcome);
      if (outcome.status === null) return outcomes;
    }
    return outcomes;
  };
  const hammers = [hammer(), hammer(), hammer()];
  await ask(url, '/v1/containers/c1/check-extension', { body: '{"extension":1}' }).outcome;

  running.kill('SIGTERM');
  const { code, signal, stderr } = await running.end;
  asking = false;
  driver.closeAllConnections();
  driver.close();
  // Exit code 0 says that it took less than a second: what takes longer ends with another one.
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  for (const { outcome } of streams) {
    const { text, whole } = await outcome;
    expect(text).toContain('the service was stopped');
    expect(whole).toBe(true);
  }
  expect(await unmap.outcome).toMatchObject({ status: 503, whole: true });
  const waited = await wait.outcome;
  expect(waited.status === 200 || waited.status === 503 || waited.status === null).toBe(true);
  const answers = (await batch.outcome).text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).status);
  expect(answers).toEqual([200, 503, 503]);
  const { status, whole } = await replay.outcome;
  expect(status).toBe(200);
  console.log(`the replay was ${whole ? 'whole' : 'cut'}`);
  await slowGone;
  for (const outcome of (await Promise.all(hammers)).flat()) {
    // Answered whole, or not accepted any more.
    if (outcome.status !== null) expect(outcome).toMatchObject({ whole: true });
    expect([null, 200, 503]).toContain(outcome.status);
  }
  expect(running.lines.filter(({ level }) => level >= 50)).toEqual([]);
});
