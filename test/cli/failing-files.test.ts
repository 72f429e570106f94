import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { dispatch } from '../../src/cli/commands.ts';
import { exitCodeOf } from '../../src/cli/exit.ts';
import { sceneOf } from '../../src/explore/alphabet.ts';
import { Checkpoint } from '../../src/explore/checkpoint.ts';
import { Search } from '../../src/explore/search.ts';
import { Visited } from '../../src/explore/visited.ts';
import { DEFAULT_LIMITS } from '../../src/host/limits.ts';
import { LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { TraceFile } from '../../src/run/trace-file.ts';
import { readSeed } from '../../src/trace-files/seed.ts';
import { synthetic } from '../harness/explore.ts';

/** What fails: the nth use of a file of this test, or none. */
const fault = vi.hoisted(() => ({ folder: '', nth: 0, code: '', seen: 0, fds: new Set<number>() }));

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  ENOSPC: 'no space left on device',
  EIO: 'i/o error',
};

vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  const isOurs = (file: unknown) =>
    fault.folder !== '' &&
    (typeof file === 'number' ? fault.fds.has(file) : String(file).startsWith(fault.folder));
  const failing =
    (name: keyof typeof fs) =>
    (file: never, ...rest: never[]): unknown => {
      const does = real[name] as (...args: unknown[]) => unknown;
      if (isOurs(file) && ++fault.seen === fault.nth) {
        // A disk that fills up takes the first half.
        const [content] = rest as unknown[];
        if (name === 'writeFileSync' && fault.code === 'ENOSPC' && content !== undefined)
          does(file, Buffer.from(content as string).subarray(0, (content as string).length / 2));
        const words = `${fault.code}: ${WORDS[fault.code]}, ${name} '${String(file)}'`;
        throw Object.assign(new Error(words), { code: fault.code });
      }
      const value = does(file, ...rest);
      if (name === 'openSync' && isOurs(file)) fault.fds.add(value as number);
      return value;
    };
  const names = ['openSync', 'writeFileSync', 'renameSync', 'lstatSync', 'rmSync', 'readFileSync'] as const;
  return { ...real, ...Object.fromEntries(names.map((name) => [name, failing(name)])) };
});

const SCENE = sceneOf(LINUX_6_1, { drivers: [synthetic('ignore')], pages: 1, mappings: 1 });

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'failing-files-'));
});
afterEach(() => {
  Object.assign(fault, { folder: '', nth: 0 });
  fs.rmSync(folder, { recursive: true });
});

/** A command line's exit code, as the program ends with it, and what it said. */
async function done(args: readonly string[]): Promise<{ code: number | null; out: string[]; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const terminal = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
  const output = { out: (line: string) => out.push(line), err: (line: string) => err.push(line), terminal };
  const code = await dispatch(args, output).catch((error: Error) => {
    err.push(`vfio-host: ${error.message}`);
    return exitCodeOf(error);
  });
  return { code, out, err: err.join('\n') };
}

const BUG = 'examples/traces/bisected-after-round.json';
const SEARCH = ['explore', '--driver', 'synthetic,onDmaUnmap=ignore', '--pages', '1', '--mappings', '1'];

/** Commands that write files, and how each ends where nothing fails. */
const COMMANDS: readonly (readonly [name: string, code: number, args: (file: string) => string[]])[] = [
  ['explore --out', 0, (file) => [...SEARCH, '--depth', '3', '--goal', 'BUG_ON', '--out', file]],
  [
    'fuzz --out',
    0,
    (file) => ['fuzz', '--driver', 'vfio-ap', '--goal', 'BUG_ON', '--seed', '7', '--out', file],
  ],
  ['minimize --out', 0, (file) => ['minimize', BUG, '--out', file]],
  ['replay --junit', 0, (file) => ['replay', BUG, '--junit', file]],
];

const isWhole = (text: string) =>
  text === 'old\n' ||
  text.startsWith('<?xml') ||
  text.split('\n').every((line) => line === '' || JSON.parse(line));

test.each(COMMANDS)(
  '%s: whichever use of a file fails, it says which file and why, with exit code 64 or 69',
  async (name, code, argsFor) => {
    const file = join(folder, 'file');
    const args = argsFor(file);
    let failures = 0;
    for (let nth = 1; ; nth++) {
      for (const error of Object.keys(WORDS)) {
        for (const left of fs.readdirSync(folder)) fs.rmSync(join(folder, left));
        fs.writeFileSync(file, 'old\n');
        Object.assign(fault, { folder, nth, code: error, seen: 0 });
        const end = await done(args);
        const isOver = fault.seen < nth;
        fault.folder = '';
        const where = `${name}, ${error} at use ${nth}: ${end.code} ${end.err}`;
        expect(isWhole(fs.readFileSync(file, 'utf8')), where).toBe(true);
        if (isOver) {
          expect(end.code, where).toBe(code);
          expect(failures, where).toBeGreaterThan(2);
          return;
        }
        failures++;
        // What is left over of a file that was tried out or written on the way is no loss.
        if (end.code === code) continue;
        expect([64, 69], where).toContain(end.code);
        expect(end.err, where).toContain(`${error}: ${WORDS[error]}`);
        expect(end.err, where).toMatch(/vfio-host: --(out|junit): /);
        // What was found is not lost.
        if (end.code === 69 && !end.err.includes('does not go on'))
          expect(end.out.length, where).toBeGreaterThan(0);
      }
    }
  },
);

test('a trace that is written while it grows tells at its end that it is not whole, and why', () => {
  const file = join(folder, 'trace');
  const steps = [{ call: 'open-container', container: 'c0' }];
  for (let nth = 1; ; nth++) {
    Object.assign(fault, { folder, nth, code: 'ENOSPC', seen: 0 });
    const write = () => {
      const trace = new TraceFile(file, 'id', '6.1');
      trace.add(steps);
      trace.add(steps);
      return trace.end(false);
    };
    if (nth <= 5) {
      expect(write).toThrow(`cannot write ${file}: ENOSPC: no space left on device`);
      continue;
    }
    expect(write()).toBe(`the trace is in ${file} (2 steps)`);
    fault.folder = '';
    expect(JSON.parse(fs.readFileSync(file, 'utf8')).steps).toHaveLength(2);
    return;
  }
});

test.each([
  ['is not there', (file: string) => join(file, 'missing'), 'ENOENT'],
  ['is a folder', (file: string) => file, 'EISDIR'],
  ['may not be read', (file: string) => fs.writeFileSync(join(file, 'seed'), '{}'), 'EACCES'],
  ['cannot be read', (file: string) => fs.writeFileSync(join(file, 'seed'), '{}'), 'EIO'],
  [
    'was cut short',
    (file: string) => {
      const text = fs.readFileSync(BUG, 'utf8');
      fs.writeFileSync(join(file, 'seed'), text.slice(0, text.length / 2));
    },
    'not JSON',
  ],
  [
    'was cut short when it was packed',
    (file: string) => {
      const packed = gzipSync(fs.readFileSync(BUG));
      fs.writeFileSync(join(file, 'seed.gz'), packed.subarray(0, packed.length / 2));
      return join(file, 'seed.gz');
    },
    'unexpected end of file',
  ],
])('a seed that %s is refused in words, with exit code 64', (_what, make, why) => {
  const file = make(folder) ?? join(folder, 'seed');
  if (why in WORDS) Object.assign(fault, { folder, nth: 1, code: why, seen: 0 });
  try {
    readSeed(file, DEFAULT_LIMITS, '6.1');
    expect.unreachable();
  } catch (error) {
    expect(exitCodeOf(error as Error)).toBe(64);
    expect((error as Error).message).toMatch(`${file}:`);
    expect((error as Error).message).toContain(why);
  }
});

/** A search that has been cut short after it had found its first states. */
function cutShort(): Search {
  const search = new Search(SCENE, { depth: 3, memory: 2 ** 22, time: 60 }, null, () => 0);
  const work = search.run();
  while (search.layers.visited.count < 2) work.next();
  return search;
}

test('whichever use of a file fails when a search is kept, the file says why, and what was kept before is there', () => {
  const { layers } = cutShort();
  const checkpoint = new Checkpoint(join(folder, 'out'), 'this');
  const load = () => checkpoint.load(new Visited(Visited.bufferFor(2 ** 22)), SCENE);
  checkpoint.save(layers.visited, layers.standing);
  const kept = load();
  for (let nth = 1; ; nth++) {
    Object.assign(fault, { folder, nth, code: 'ENOSPC', seen: 0 });
    try {
      checkpoint.save(layers.visited, layers.standing);
    } catch (error) {
      fault.folder = '';
      expect(exitCodeOf(error as Error)).toBe(69);
      expect((error as Error).message).toBe(
        `cannot write ${folder}/out.search: ENOSPC: no space left on device`,
      );
      expect(load()).toEqual(kept);
      continue;
    }
    fault.folder = '';
    expect(nth).toBeGreaterThan(2);
    return;
  }
});

test('a search that was kept and has been cut short since is refused in words', () => {
  const { layers } = cutShort();
  const checkpoint = new Checkpoint(join(folder, 'out'), 'this');
  checkpoint.save(layers.visited, layers.standing);
  const kept = join(folder, 'out.search');
  const bytes = fs.readFileSync(kept);
  for (const length of [0, 10, bytes.indexOf('\n') + 1, bytes.length - 1]) {
    fs.writeFileSync(kept, bytes.subarray(0, length));
    expect(() => checkpoint.load(new Visited(Visited.bufferFor(2 ** 22)), SCENE)).toThrow(
      `${kept} is cut short`,
    );
  }
  fs.writeFileSync(kept, 'something else\n');
  expect(() => checkpoint.load(new Visited(Visited.bufferFor(2 ** 22)), SCENE)).toThrow('is no search');
});
