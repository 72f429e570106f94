import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  type Reached,
  reachabilityPage,
  reachedOf,
  SECTIONS,
  type Section,
  searchSection,
  tracesFile,
} from '../../src/explore/reachability.ts';
import { generationOf, KERNEL_VERSIONS } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { replay } from '../../src/replay/replay.ts';
import { readTraces } from '../../src/trace-files/traces.ts';

const filed = (section: Section): Reached[] => reachedOf(section, readTraces(tracesFile(section)));

test('the page is that of the traces', () => {
  const page = reachabilityPage(SECTIONS.map((section) => [section, filed(section)]));
  expect(readFileSync('docs/reachability.md', 'utf8')).toBe(page);
});

describe('every trace comes to what it is filed for, with the answers it expects', () => {
  test.each(SECTIONS.map((section) => [section.id, section] as const))('%s', (_id, section) => {
    const reached = filed(section);
    for (const { trace } of reached) {
      expect(replay(new Machine(generationOf(trace.kernel)!), trace), trace.id).toEqual([]);
    }
  });
});

describe('the search finds what is filed, as far as it goes', () => {
  /** Calls of the longest trace here. */
  const DEPTH = 3;
  const lengths = (reached: readonly Reached[], kernel: string) =>
    Object.fromEntries(
      reached
        .filter((one) => one.kernel === kernel && one.length <= DEPTH)
        .map(({ finding, length }) => [finding, length]),
    );
  // Each section on one kernel, each kernel several times.
  const cases = SECTIONS.map(
    (section, i) => [section.id, KERNEL_VERSIONS[i % KERNEL_VERSIONS.length]!, section] as const,
  );
  test.each(cases)('%s on %s', (_id, kernel, section) => {
    expect(lengths(searchSection(section, kernel, DEPTH), kernel)).toEqual(lengths(filed(section), kernel));
  });
});
