import type { CallObject } from '../../schemas/calls.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { mapLines, setupLines, unmapLines } from '../support/lines.ts';
import { type Row, row } from '../support/row.ts';

const ROUNDS = 21;
const CALLS = 100_000;
const PAGES = 1000;

/** A machine nobody listens to: microseconds of processor time a call in process, against one. */
export async function machine(): Promise<Row[]> {
  const made = new Machine(generationOf('6.1')!);
  const parsed = (lines: readonly string[]) => lines.map((text) => JSON.parse(text) as CallObject);
  for (const call of parsed(setupLines())) made.start(call);
  const calls = parsed([...mapLines(PAGES), ...unmapLines(PAGES)]);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage();
    for (let i = 0; i < CALLS; i++) made.start(calls[i % calls.length]!);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / CALLS;
  });
  return [
    row(
      'a machine without listeners, a call',
      'us',
      rounds,
      rounds.map(() => 1),
      { atMost: 1 },
      2,
    ),
  ];
}
