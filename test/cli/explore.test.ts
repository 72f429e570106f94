import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dispatch } from '../../src/cli/commands.ts';

/** What a command line comes to: its exit code, stdout and stderr. */
async function done(...args: string[]): Promise<{ code: number | null; out: string[]; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const terminal = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
  const output = { out: (line: string) => out.push(line), err: (line: string) => err.push(line), terminal };
  const code = await dispatch(args, output);
  return { code, out, err: err.join('\n') };
}

test('a trace that reaches the goal goes to stdout, and how far it looked to stderr', async () => {
  const { code, out, err } = await done('explore', '--driver', 'vfio-ap', '--goal', 'BUG_ON');
  expect(code).toBe(0);
  const { kernel, steps } = JSON.parse(out[0]!) as {
    kernel: string;
    steps: { call: string; expect: object }[];
  };
  expect(kernel).toBe('6.1');
  expect(steps.slice(-3).map(({ call }) => call)).toEqual(['map-dma', 'ap-enable-interrupt', 'unmap-dma']);
  expect(steps.at(-1)!.expect).toMatchObject({ killed: true });
  expect(err).toMatch(
    /^BUG_ON:B1: 3 calls\nthe goal was reached\. .*2 pages, 3 mappings: \d+ states, \d+ transitions in/,
  );
});

test('traces go to a file, which replay takes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'explore-'));
  const file = join(folder, 'traces.jsonl');
  try {
    const found = await done(
      'explore',
      '--driver',
      'synthetic,onDmaUnmap=ignore',
      '--depth',
      '3',
      '--out',
      file,
    );
    expect([found.code, found.out]).toEqual([0, []]);
    const traces = readFileSync(file, 'utf8').trim().split('\n');
    expect(traces.map((line) => (JSON.parse(line) as { id: string }).id)).toContain('BUG_ON:B1 6.1');
    const { code, out } = await done('replay', file);
    expect([code, out.at(-1)]).toEqual([
      0,
      expect.stringMatching(`^${traces.length} of ${traces.length} traces`),
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('none within these bounds is said, with the bounds', async () => {
  const args = ['--driver', '{"type":"mtty"}', '--goal', 'BUG_ON', '--depth', '2', '--pages', '1'];
  const { code, out, err } = await done('explore', ...args);
  expect([code, out]).toEqual([1, []]);
  expect(err).toMatch(
    /^BUG_ON: none within these bounds; every trace of that length was tried\. depth 2 .* 1 page, /,
  );
});

test.each([
  [['explore'], 'explore needs a driver'],
  [['explore', '--driver', 'vfio-ap', '--goal', 'PANIC'], '--goal: "PANIC" is not BUG_ON, WARN_ON:<id>'],
  [['explore', '--driver', 'vfio-ap', '--depth', '0'], '--depth: "0" is not an integer from 1 to 1000'],
  [['explore', '--driver', 'nvidia'], '--driver: '],
  [['explore', '--driver', '{"type"'], '--driver "{"type"": '],
])('%j is refused', async (args, words) => {
  await expect(done(...args)).rejects.toThrow(words);
});
