import { performance } from 'node:perf_hooks';
import { sceneOf } from '../../src/explore/alphabet.ts';
import type { Outcome } from '../../src/explore/layers.ts';
import type { ExploreRequest } from '../../src/explore/request.ts';
import { Search } from '../../src/explore/search.ts';
import { ParallelSearch } from '../../src/explore/threads.ts';
import { Visited } from '../../src/explore/visited.ts';
import { LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { atOnce } from '../../src/turns.ts';
import { type Row, row } from '../support/row.ts';

/** What is asked of a core: transitions a second. */
const GOAL = 300_000;
const ROUNDS = 2;
const DEPTHS = [8, 9, 10];
/** On one core: some ten seconds. */
const LONG = 13;
/** On two: every thread starts with code that is not compiled yet, so all are threads, for some half a minute of one's. */
const LONGER = 15;

/** The explorer on one driver and two pages: transitions a second on one core and two, bytes of a state, growth with depth. */
export async function explore(): Promise<Row[]> {
  const request = (depth: number): ExploreRequest => ({
    gen: LINUX_6_1,
    drivers: [{ type: 'synthetic', onDmaUnmap: 'unpin-range' }],
    goal: null,
    pages: 2,
    mappings: 3,
    also: [],
    bounds: { depth, memory: 2 ** 26, time: 600 },
  });
  const now = () => performance.now();
  const one = (depth: number): Outcome => {
    const asked = request(depth);
    return atOnce(new Search(sceneOf(LINUX_6_1, asked), asked.bounds, null, now).run());
  };
  const rate = ({ transitions, seconds }: Outcome) => transitions / seconds;
  one(DEPTHS.at(-1)!);
  const threads = (count: number) => new ParallelSearch(request(LONGER), count, now).run(() => false);
  const warm: number[] = [];
  const alone: number[] = [];
  const together: number[] = [];
  const apart: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    warm.push(rate(one(LONG)));
    alone.push(rate(await threads(1)));
    together.push(rate(await threads(2)));
    const [a, b] = await Promise.all([threads(1), threads(1)]);
    apart.push(rate(a) + rate(b));
  }
  const goals = warm.map(() => GOAL);
  const visited = new Visited(Visited.bufferFor(2 ** 26));
  const growth = DEPTHS.slice(1).map((to) => {
    const [less, more] = [one(to - 1), one(to)];
    const factor = (of: (outcome: Outcome) => number) => of(more) / of(less);
    return { to, seconds: factor(({ seconds }) => seconds), states: factor(({ states }) => states) };
  });
  return [
    row('the explorer on one core, transitions', '/s', warm, goals, { atLeast: 1 }),
    row('the explorer on two threads, against one', '/s', together, alone, { atLeast: 1.8 }),
    row('two searches at once that share nothing, against one', '/s', apart, alone, { atLeast: 1.8 }),
    row('a state of the explorer', 'bytes', [visited.buffer.byteLength / visited.capacity], [64], {
      atMost: 1,
    }),
    ...growth.map(({ to, seconds, states }) =>
      row(
        `depth ${to} against ${to - 1}: time, against states`,
        'x',
        [seconds],
        [states],
        { atMost: 1.5 },
        1,
      ),
    ),
  ];
}
