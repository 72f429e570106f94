import { performance } from 'node:perf_hooks';
import type { CallObject } from '../../schemas/calls.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { median, number } from '../support/figures.ts';
import { mapAndUnmapLines, SETUP } from '../support/lines.ts';
import type { Row } from '../support/row.ts';

const ROUNDS = 15;
const CALLS = 100_000;
/** What a call may take, microseconds. */
const LIMIT_US = 1;

/** A machine nobody listens to: microseconds a call in process. */
export function machine(): Row {
  const made = new Machine(generationOf('6.1')!);
  for (const call of SETUP) made.start(call);
  const calls = mapAndUnmapLines(1000).map((line) => JSON.parse(line) as CallObject);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    for (let i = 0; i < CALLS; i++) made.start(calls[i % calls.length]!);
    return ((performance.now() - start) * 1000) / CALLS;
  });
  return {
    what: 'a machine without listeners, a call',
    figure: `${number(median(rounds), 2)} us`,
    limit: `${LIMIT_US} us`,
    ratios: rounds.map((us) => us / LIMIT_US),
    goal: 1,
    below: true,
  };
}
