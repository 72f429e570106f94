import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compareCommand } from '../../src/cli/compare.ts';
import { replayCommand } from '../../src/cli/replay.ts';
import { startRig } from '../harness/http-rig.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vfio-host-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A terminal that keeps what is written to it. */
function terminal(isTTY: boolean) {
  const written: string[] = [];
  return {
    written,
    stream: { isTTY, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream,
  };
}

function file(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const good = {
  id: 'good',
  kernel: '6.1',
  steps: [
    { call: 'open-container', expect: { errno: null } },
    { call: 'iommu-info', container: 'c0', expect: { errno: 'EINVAL' } },
  ],
};
const bad = { ...good, id: 'bad', steps: [{ call: 'open-container', expect: { errno: 'EPERM' } }] };

test('replay of files as expected: exit code 0 and the number of traces', async () => {
  const lines: string[] = [];
  const jsonl = `${JSON.stringify(good)}\n${JSON.stringify({ ...good, id: 'again' })}\n`;
  const paths = [file('a.json', JSON.stringify(good, null, 2)), file('b.jsonl.gz', gzipSync(jsonl))];
  const code = await replayCommand(paths, (line) => lines.push(line), terminal(false).stream);
  expect([code, lines]).toEqual([0, ['3 of 3 traces as expected (6 steps)']]);
});

test('replay with a difference: exit code 1, and the step, field and values', async () => {
  const lines: string[] = [];
  const path = file('b.json', JSON.stringify(bad));
  expect(await replayCommand([path], (line) => lines.push(line), terminal(false).stream)).toBe(1);
  expect(lines).toEqual([
    'bad (6.1): 1 difference',
    '  step 0 open-container: errno is null, expected "EPERM"',
    '0 of 1 trace as expected (1 step)',
  ]);
});

test('a trace may have as many regions as a process that was recorded', async () => {
  const steps = Array.from({ length: 4200 }, (_, i) => ({
    call: 'add-memory-region',
    process: 'p0',
    start: `0x${(2 * i * 4096).toString(16)}`,
    size: '0x1000',
    prot: 3,
    expect: { errno: null },
  }));
  const path = file('regions.json', JSON.stringify({ id: 'regions', kernel: '6.1', steps }));
  expect(await replayCommand([path], () => {}, terminal(false).stream)).toBe(0);
});

test('replay against a running service', async () => {
  const rig = await startRig();
  await rig.listen();
  const url = rig.url;
  const lines: string[] = [];
  const path = file('t.jsonl', `${JSON.stringify(good)}\n${JSON.stringify(bad)}\n`);
  const code = await replayCommand([path, '--url', url], (line) => lines.push(line), terminal(false).stream);
  await rig.close();
  expect([code, lines.at(-1)]).toEqual([1, '1 of 2 traces as expected (3 steps)']);
});

test('replay shows a progress bar on a terminal and takes it away, on anything else nothing', async () => {
  const path = file('t.jsonl', `${JSON.stringify(good)}\n${JSON.stringify(good)}\n`);
  const screen = terminal(true);
  await replayCommand([path], () => {}, screen.stream);
  expect(screen.written.join('')).toContain('] 2/2');
  expect(screen.written.at(-1)).toBe('\r\x1b[K');
  const pipe = terminal(false);
  await replayCommand([path], () => {}, pipe.stream);
  expect(pipe.written).toEqual([]);
});

test.each([
  [[], 'replay needs a trace'],
  [['x.json', '--kernel', '4.4'], '--kernel: "4.4" is not one of 5.10, 6.1, 6.12, 7.2'],
  [['x.json', '--nope'], "Unknown option '--nope'"],
])('replay %j is bad usage', async (args, words) => {
  await expect(replayCommand(args, () => {}, terminal(false).stream)).rejects.toThrow(words);
});

test.each([
  ['no JSON', '{', ':1: not JSON'],
  ['no trace', '{"id":"x"}', 'scenario/steps is missing'],
  ['an unknown field', '{"steps":[],"extra":1}', 'scenario/extra is not a known field'],
])('a file that is %s is refused with its name', async (_name, text, words) => {
  const path = file('t.json', text);
  const run = replayCommand([path], () => {}, terminal(false).stream);
  await expect(run).rejects.toThrow(words);
  await expect(run).rejects.toThrow(path);
});

test('compare prints the differing step, every kernel’s answer and the reason; exit code 1', () => {
  const lines: string[] = [];
  const code = compareCommand(['examples/traces/nesting.json'], (line) => lines.push(line));
  expect(code).toBe(1);
  expect(lines[0]).toBe('nesting: 2 steps differ (6 steps)');
  expect(lines).toContain('    6.12  ok lockedPages=0');
  expect(lines).toContain('    7.2   ENODEV lockedPages=0');
  expect(lines.filter((line) => line.includes('6.12 → 7.2  nesting: ')).length).toBe(2);
});

test('compare of what is the same everywhere: exit code 0', () => {
  const trace = 'examples/traces/false-dirty-bits.json';
  const lines: string[] = [];
  expect(compareCommand([trace, '--kernels', '5.10,6.1,6.12,7.2'], (line) => lines.push(line))).toBe(0);
  expect(lines).toEqual(['false-dirty-bits: the same on every kernel (11 steps)']);
});

test('compare --json is one object a trace', () => {
  const lines: string[] = [];
  compareCommand(['examples/traces/nesting.json', '--json', '--kernels', '6.12,7.2'], (line) =>
    lines.push(line),
  );
  expect(JSON.parse(lines[0]!)).toMatchObject({ id: 'nesting', kernels: ['6.12', '7.2'] });
});

test('compare with an unknown kernel is bad usage', () => {
  expect(() => compareCommand(['x.json', '--kernels', '6.1,9.9'], () => {})).toThrow('"9.9" is not one of');
});
