import { describe, expect, test } from 'vitest';
import type { KernelStep, Task } from '../../src/kernel/task.ts';
import { TYPE1_VERSIONS } from '../harness/kernels.ts';
import { synthetic } from '../harness/test-rig.ts';
import { Type1Rig, through } from '../harness/type1-rig.ts';

// Long work stops once in 1024 units, each a mapping or a pin; where many are done at once, it may be later.

const rigOf = (version = '6.1', driver = 'ignore') => new Type1Rig(version, { d0: synthetic(driver) });
const rangeOf = (pages: number) => ({ iova: 0n, size: BigInt(pages) * 4096n, flags: 0 });

/** What is done with a rig; how often it stops. */
type Work = (rig: Type1Rig, task: Task) => KernelStep<unknown>;
const stopsOf = (rig: Type1Rig, work: Work) => through(work(rig, rig.task())).stops;

const unmapAll: Work = ({ iommu }, task) => iommu.unmapDma(task, rangeOf(4096));
const close: Work = (rig, task) => rig.iommu.unregisterDevice(task, rig.device('d0'));
const startTracking: Work = ({ iommu }, task) => iommu.dirtyPages(task, 1, null);
const leave: Work = (rig, task) => rig.iommu.detachGroup(task, rig.device('d0').group);

test.each(TYPE1_VERSIONS)(
  'an unmap stops after each 1024 mappings, but not at its end: Linux %s',
  (version) => {
    const stops = [1024, 1025, 2048, 2049].map((mappings) => {
      const rig = rigOf(version);
      rig.mapMany(mappings);
      return stopsOf(rig, unmapAll);
    });
    expect(stops).toEqual([0, 1, 1, 2]);
  },
);

describe.each<[string, Work, (pins: number) => number]>([
  ['the last close of a device', close, (pins) => Math.floor((pins + 1) / 1024)],
  ['the start of dirty tracking', startTracking, (pins) => Math.floor((pins + 1) / 1024)],
  // It is one mapping, which goes at once; its warning counts as 64.
  ['the leaving of the last group', leave, (pins) => (pins + 1 + 64 >= 1024 ? 1 : 0)],
])('%s', (_, work, expected) => {
  test.each([958, 959, 1022, 1023, 2046, 2047])('with %i pins in one mapping', (pins) => {
    const rig = rigOf();
    rig.mapMany(1, 4096);
    rig.pinMany(pins);
    expect(stopsOf(rig, work)).toBe(expected(pins));
  });

  test('stops once in 1024 mappings', () => {
    const stops = [1023, 1024, 2047, 2048].map((mappings) => {
      const rig = rigOf();
      rig.mapMany(mappings);
      return stopsOf(rig, work);
    });
    expect(stops).toEqual([0, 1, 1, 2]);
  });
});

/** The same container with a device behind the IOMMU besides. */
function withDomain(): Type1Rig {
  const rig = rigOf();
  rig.inTurn([
    { call: 'create-device', device: 'pci', kind: 'vfio-pci' },
    { call: 'open-group', device: 'pci' },
    { call: 'set-container', device: 'pci', container: 'c0' },
  ]);
  return rig;
}
const leaveDomain: Work = (rig, task) => rig.iommu.detachGroup(task, rig.device('pci').group);

test.each([
  [1, 1022, 0],
  [1, 1023, 1],
  [1024, 0, 1],
  [1023, 0, 0],
])('the end of the domain: %i mappings, %i pins in each, stops %i times', (mappings, pins, stops) => {
  const rig = withDomain();
  rig.mapMany(mappings, pins > 0 ? 1024 : 1);
  if (pins > 0) rig.pinMany(pins);
  expect(stopsOf(rig, leaveDomain)).toBe(stops);
});

test.each([
  [1, 1022, 0],
  [1, 1023, 1],
  [1023, 0, 0],
  [1024, 0, 1],
])(
  'a domain that comes later: %i mappings, %i pins in the first, stops %i times',
  (mappings, pins, stops) => {
    const rig = rigOf();
    rig.mapMany(mappings, pins > 0 ? 1024 : 1);
    if (pins > 0) rig.pinMany(pins);
    rig.inTurn([
      { call: 'create-device', device: 'pci', kind: 'vfio-pci' },
      { call: 'open-group', device: 'pci' },
    ]);
    expect(stopsOf(rig, ({ iommu }, task) => iommu.attachGroup(task, rig.device('pci').group))).toBe(stops);
  },
);

/** Pages whose bitmap counts as so many units: 16 words each, the spare one among them. The mapping itself counts twice. */
const pagesOfWork = (units: number) => (units * 16 - 1) * 64;

test.each([
  [pagesOfWork(1022) - 64, 0],
  [pagesOfWork(1022), 1],
])(
  'the end of a domain while dirty pages are tracked: a mapping of %i pages, stops %i times',
  (pages, stops) => {
    const rig = withDomain();
    rig.mapMany(1, pages, 2 ** 20);
    rig.do('dirty-start');
    expect(stopsOf(rig, leaveDomain)).toBe(stops);
  },
);

test('a callback counts as 16, and what its driver unpins as 1: an unmap of 56 mappings does not stop, one of 57 does', () => {
  const stops = [56, 57].map((mappings) => {
    const rig = rigOf('6.1', 'unpin-range');
    rig.mapMany(mappings + 1);
    for (let page = 0; page < mappings; page++) rig.pin(page * 4096);
    return stopsOf(rig, unmapAll);
  });
  expect(stops).toEqual([0, 1]);
});

test('a device whose pins come after those of another one is looked for among 1024 of them at a time', () => {
  const stops = [1023, 1024, 2048].map((others) => {
    const rig = new Type1Rig('6.1', { d0: synthetic('ignore'), d1: synthetic('ignore') });
    rig.mapMany(1, 4096);
    rig.pinMany(others);
    rig.pinMany(1, others, 'd1');
    const { iommu } = rig;
    const task = rig.task();
    const d1 = rig.device('d1');
    iommu.shadow.callbackStarts(d1, 0);
    const looked = through(iommu.shadow.callbackEnds(task, iommu, d1, iommu.mappings.find(0, 1))!).stops;
    expect(task.advisories).toMatchObject([
      { kind: 'IGNORED_INVALIDATION', devices: ['d1'], iova: BigInt(others * 4096) },
    ]);
    return looked;
  });
  expect(stops).toEqual([0, 1, 2]);
});
