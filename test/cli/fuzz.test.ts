import { expect, test } from 'vitest';
import { dispatch } from '../../src/cli/commands.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { checkScenario } from '../../src/replay/check.ts';
import { replay } from '../../src/replay/replay.ts';

/** What a command line comes to: its exit code, stdout and stderr. */
async function done(...args: string[]): Promise<{ code: number | null; out: string[]; err: string[] }> {
  const out: string[] = [];
  const err: string[] = [];
  const terminal = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
  const output = { out: (line: string) => out.push(line), err: (line: string) => err.push(line), terminal };
  return { code: await dispatch(args, output), out, err };
}

test('a walk comes to the goal, and is shrunk to what matters; with its seed it is the same', async () => {
  const args = ['fuzz', '--driver', 'synthetic,onDmaUnmap=ignore', '--driver', 'vfio-ap', '--goal', 'BUG_ON'];
  const first = await done(...args, '--seed', '7');
  expect(first.code).toBe(0);
  expect(first.err[0]).toBe('seed 7');
  expect(first.err[1]).toMatch(/^BUG_ON:B1: after \d+ calls, shrunk to \d+ steps$/);
  const trace = checkScenario(JSON.parse(first.out[0]!));
  // A container with an open device, a mapping, a pin and the unmap; of vfio-ap a guest and a queue besides.
  expect(trace.steps.length).toBeLessThan(12);
  expect(replay(new Machine(generationOf('6.1')!), trace)).toEqual([]);
  expect(await done(...args, '--seed', '7')).toEqual(first);
});

test('another seed is printed each time, and nothing found is said', async () => {
  const args = ['fuzz', '--driver', '{"type":"mtty"}', '--goal', 'BUG_ON', '--time', '1'];
  const { code, out, err } = await done(...args);
  expect([code, out]).toEqual([1, []]);
  expect(err).toEqual([
    expect.stringMatching(/^seed \d+$/),
    expect.stringMatching(/^0 findings in \d+ calls, /),
  ]);
});

test('a seed is an integer of 32 bits', async () => {
  await expect(done('fuzz', '--driver', 'vfio-ap', '--seed', '4294967296')).rejects.toThrow(
    '--seed: "4294967296" is not an integer from 0 to 2^32-1',
  );
});
