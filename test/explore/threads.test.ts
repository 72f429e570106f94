import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compile, type Program } from '../harness/program.ts';

const DRIVERS = ['--driver', 'synthetic,onDmaUnmap=ignore', '--driver', 'synthetic'];
let program: Program;
let folder: string;
beforeAll(() => {
  program = compile();
  folder = mkdtempSync(join(tmpdir(), 'explore-'));
}, 120_000);
afterAll(() => {
  program.remove();
  rmSync(folder, { recursive: true });
});

/** The findings of a search with their lengths, and how many states and transitions it took. */
async function explore(...args: string[]): Promise<{ found: string[]; counts: string }> {
  const file = join(folder, 'traces.jsonl');
  const all = [program.main, 'explore', ...DRIVERS, '--pages', '1', ...args, '--out', file];
  const { stderr } = await promisify(execFile)(process.execPath, all);
  const traces = readFileSync(file, 'utf8').trim().split('\n');
  const found = traces.map((line) => JSON.parse(line) as { id: string; steps: object[] });
  return {
    found: found.map(({ id, steps }) => `${id}: ${steps.length}`).sort(),
    counts: /\d+ states, \d+ transitions/.exec(stderr)![0],
  };
}

test('three threads find what one does: as many states, as many transitions, traces as short', async () => {
  const one = await explore('--depth', '4');
  const three = await explore('--depth', '4', '--threads', '3');
  expect(three).toEqual(one);
  expect(one.found).toContain('BUG_ON:B1 6.1: 13');
});

test('several threads end with the goal', async () => {
  const { found } = await explore('--depth', '6', '--goal', 'BUG_ON', '--threads', '2');
  expect(found).toEqual(['BUG_ON:B1 6.1: 13']);
});
