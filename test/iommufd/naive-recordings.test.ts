import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import type { Scenario } from '../../src/replay/scenario.ts';
import { callOf } from '../../src/replay/scenario.ts';
import { recordings } from '../harness/recordings.ts';
import { NaiveIommufdHost } from '../model/naive-iommufd-host.ts';

/** The first step that the model answers differently, with both answers; null where there is none. */
function firstDifference({ steps }: Scenario): unknown {
  const model = new NaiveIommufdHost();
  for (const [index, step] of steps.entries()) {
    const { expect: expected = {} } = step;
    const { errno, body, invalidations, log } = model.apply(callOf(step) as never);
    const recorded = {
      errno: expected.errno ?? null,
      invalidations: expected.invalidations ?? [],
      log: (expected.log ?? []).map(({ kind, condition }) => ({ kind, what: condition })),
      lockedPages: expected.lockedPages ?? 0,
      ...(expected.size === undefined ? {} : { size: expected.size }),
      ...(expected.pinned === undefined ? {} : { pinned: expected.pinned }),
      ...(expected.value === undefined ? {} : { value: expected.value }),
    };
    const lockedPages = Number(model.processes.get('p0')!.locked);
    const all: Record<string, unknown> = { errno, invalidations, log, lockedPages, ...body };
    const modelled = Object.fromEntries(Object.keys(recorded).map((field) => [field, all[field]]));
    if (!isDeepStrictEqual(modelled, recorded)) return { index, call: step.call, modelled, recorded };
  }
  return null;
}

// Callbacks that are held are no part of the model.
const files = recordings('6.12-iommufd').filter(({ file }) => !file.startsWith('concurrent'));

test.each(files)('the naive model answers as the recordings: $file', ({ scenarios }) => {
  for (const scenario of scenarios) expect(firstDifference(scenario), scenario.id).toBeNull();
});
