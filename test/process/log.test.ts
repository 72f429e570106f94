import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { COMPILE_MS, compile, type Line, type Program } from '../harness/program.ts';

const EXIT_PANIC = 70;
const WARN = 40;
/** More lines than a pipe and the smallest of buffers hold. */
const WARNINGS = 500;

let program: Program;
beforeAll(() => {
  program = compile();
}, COMPILE_MS);
afterAll(() => program.remove());

let child: ChildProcess | null = null;
afterEach(async () => {
  child?.kill('SIGKILL');
  if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  child = null;
});

/** Starts the service; its log is read until it is ready, and then no more. */
async function serve(...args: string[]): Promise<{ url: string; log: Readable; errors: Readable }> {
  const settings = ['--port', '0', '--log-bytes', '65536', ...args];
  child = spawn(process.execPath, [program.main, ...settings], {
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { stdout, stderr } = child as { stdout: Readable; stderr: Readable };
  let said = '';
  stdout.setEncoding('utf8');
  for (;;) {
    const text: string | null = stdout.read();
    if (text !== null) said += text;
    const url = /"msg":"ready at (\S+)"}\n.*"msg":"port \d+"}\n$/.exec(said)?.[1];
    if (url) return { url, log: stdout, errors: stderr };
    if (text === null) await once(stdout, 'readable');
  }
}

async function batch(url: string, calls: readonly object[]): Promise<string> {
  const headers = { 'content-type': 'application/x-ndjson' };
  const body = calls.map((call) => `${JSON.stringify(call)}\n`).join('');
  const response = await fetch(`${url}/v1/batch`, { method: 'POST', headers, body });
  return response.text();
}

/** A device in a container, a pinned page, and so many WARN_ONs. */
function warnings(count: number): object[] {
  return [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'ignore' } },
    { call: 'attach', container: 'c0', device: 'd0' },
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 4096, flags: 3 },
    { call: 'pin-pages', device: 'd0', iova: 0, npage: 1, prot: 3 },
    ...Array.from({ length: count }, () => ({ call: 'unpin-pages', device: 'd0', iova: 4096, npage: 1 })),
  ];
}

async function dropped(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^vfio_host_log_lines_dropped_total (\d+)$/m.exec(text)![1]);
}

test('a reader of the log that stops holds up nobody; when it reads on, a line says how many it has missed', async () => {
  const { url, log } = await serve();
  const answers = await batch(url, warnings(WARNINGS));
  expect(answers.trim().split('\n')).toHaveLength(WARNINGS + 5);
  const missed = await dropped(url);
  expect(missed).toBeGreaterThan(0);
  const response = await fetch(`${url}/v1/events?kind=splat&since=${WARNINGS}&limit=10000`);
  const { events } = (await response.json()) as { events: { seq: number }[] };
  const last = events.at(-1)!.seq;
  const lines: Line[] = [];
  for await (const line of createInterface({ input: log })) {
    lines.push(JSON.parse(line) as Line);
    if (lines.at(-1)!.seq === last) break;
  }
  const marks = lines.filter((line) => line.dropped !== undefined);
  expect(marks).toMatchObject([{ level: WARN, dropped: missed }]);
  expect(lines.indexOf(marks[0]!)).toBeGreaterThan(0);
  // In order, and the newest are there.
  const seqs = lines.flatMap(({ seq }) => (seq === undefined ? [] : [seq as number]));
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  expect(await dropped(url)).toBe(missed);
});

test('SIGTERM ends the service with exit code 0 though nobody reads its log', async () => {
  const { url } = await serve();
  await batch(url, warnings(WARNINGS));
  child!.kill('SIGTERM');
  expect(await once(child!, 'exit')).toEqual([0, null]);
});

test('a panic says so among the errors where nobody reads the log', async () => {
  const { url, errors } = await serve('--panic-on-oops');
  await batch(url, warnings(WARNINGS));
  const told = errors.setEncoding('utf8').toArray();
  const unmap = batch(url, [{ call: 'unmap-dma', container: 'c0', iova: 0, size: 4096 }]);
  unmap.catch(() => {});
  expect(await once(child!, 'exit')).toEqual([EXIT_PANIC, null]);
  expect((await told).join('')).toBe('vfio-host: Kernel panic - not syncing: Fatal exception\n');
});

test('a panic waits for a reader of the log that is slow', async () => {
  const { url, log } = await serve('--panic-on-oops');
  await batch(url, warnings(WARNINGS));
  batch(url, [{ call: 'unmap-dma', container: 'c0', iova: 0, size: 4096 }]).catch(() => {});
  let text = '';
  for await (const part of log) text += part;
  const lines = text.trim().split('\n');
  for (const line of lines) JSON.parse(line);
  expect(lines.at(-1)).toContain('"msg":"Kernel panic - not syncing: Fatal exception"');
});
