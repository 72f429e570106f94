import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DRIVER_DIFFERENCES } from '../../src/kernel/generations/driver-differences.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { compareKernels } from '../../src/replay/compare-kernels.ts';

/** Between which kernels each of vfio-ap's and vfio-ccw's differences is shown, by its own trace, at its last step. */
const SHOWN: readonly (readonly [id: string, from: string, to: string])[] = [
  ['vfio-ap-guest-needed', '5.10', '6.1'],
  ['vfio-ap-aqic-unread', '5.10', '6.1'],
  ['vfio-ap-isc', '5.10', '6.1'],
  ['vfio-ap-isc', '6.1', '6.12'],
  ['vfio-ap-exact-byte', '5.10', '6.1'],
  ['vfio-ap-matrix', '5.10', '6.1'],
  ['vfio-ap-bus-scan', '5.10', '6.1'],
  ['vfio-ap-bus-scan', '6.1', '6.12'],
  ['vfio-ap-filter', '6.1', '6.12'],
  ['vfio-ap-queues', '6.1', '6.12'],
  ['vfio-ap-reset-answers', '6.1', '6.12'],
  ['vfio-ap-order', '6.1', '6.12'],
  ['vfio-ap-callback', '6.1', '6.12'],
  ['vfio-ccw-callback', '5.10', '6.1'],
  ['vfio-ccw-notoper', '6.0', '6.1'],
  ['vfio-ccw-exact-keys', '5.10', '6.1'],
  ['vfio-ccw-dma-rw', '6.1', '6.12'],
];

const OF_DRIVERS: readonly string[] = DRIVER_DIFFERENCES.map(({ id }) => id);

test.for(SHOWN)('%s is a reason of its own between %s and %s', ([id, from, to]) => {
  const trace = JSON.parse(readFileSync(`examples/traces/${id}.json`, 'utf8'));
  const kernels = [generationOf(from)!, generationOf(to)!];
  const steps = compareKernels(trace, kernels, (gen) => new Machine(gen));
  const reasons = steps.at(-1)!.reasons.map((reason) => reason.id);
  expect(reasons).toContain(id);
  // Others of the same driver may matter at the step, but not all that changed with it.
  const driver = id.split('-').slice(0, 2).join('-');
  expect(reasons.filter((one) => OF_DRIVERS.includes(one) && one.startsWith(driver)).length).toBeLessThan(4);
});

test('every difference of vfio-ap and vfio-ccw that an answer shows is among them', () => {
  const shown = SHOWN.map(([id]) => id);
  const ids = DRIVER_DIFFERENCES.filter((one) => /^vfio-/.test(one.id) && !('shownIn' in one)).map(
    ({ id }) => id,
  );
  expect(ids.filter((id) => !shown.includes(id))).toEqual([]);
});
