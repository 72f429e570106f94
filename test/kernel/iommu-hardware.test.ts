import { expect, test } from 'vitest';
import { LINUX_5_10, LINUX_6_1, LINUX_7_2 } from '../../src/kernel/generations/index.ts';
import {
  apertureEnd,
  type IommuHardware,
  iommuKey,
  isCoherent,
  limitOf,
  pageSizesOf,
  type ReservedRegion,
  usableRanges,
  whyUnusable,
} from '../../src/kernel/iommu/hardware.ts';
import { DEFAULT_IOMMU, IOMMU_PRESETS, isRecorded } from '../../src/kernel/iommu/presets.ts';
import { propertiesOf } from '../../src/kernel/iommu/properties.ts';
import { CoreRig } from '../harness/core-rig.ts';

const WIDTH = 16;
/** Sixteen pages, and what is reserved of them. */
const small = (...reserved: [start: number, end: number][]): IommuHardware => ({
  ...IOMMU_PRESETS['intel-39'],
  addressWidth: WIDTH,
  reserved: reserved.map(([start, end]): ReservedRegion => ({ start, end, type: 'reserved' })),
});
const ranges = (...iommus: IommuHardware[]) => usableRanges(iommus).map(({ start, end }) => [start, end]);

test.each<[[number, number][], [number, number][]]>([
  [[], [[0, 16]]],
  [
    [[4, 6]],
    [
      [0, 4],
      [6, 16],
    ],
  ],
  [[[0, 2]], [[2, 16]]],
  [[[14, 16]], [[0, 14]]],
  [[[14, 99]], [[0, 14]]],
  [[[16, 20]], [[0, 16]]],
  [
    [
      [4, 6],
      [6, 8],
    ],
    [
      [0, 4],
      [8, 16],
    ],
  ],
  [
    [
      [4, 8],
      [2, 5],
    ],
    [
      [0, 2],
      [8, 16],
    ],
  ],
  [[[0, 16]], []],
])('reserved %j: usable are %j', (reserved, usable) => {
  expect(ranges(small(...reserved))).toEqual(usable);
});

test('behind several IOMMUs that is usable which is behind each', () => {
  expect(ranges(small([2, 4]), { ...small([6, 8]), addressWidth: 15 })).toEqual([
    ...[
      [0, 2],
      [4, 6],
    ],
  ]);
  expect([apertureEnd(small()), apertureEnd({ ...small(), addressWidth: 64 })]).toEqual([16, 2 ** 52]);
});

test('why pages are not usable: the width, the reserved region that they reach into, or neither', () => {
  const why = (start: number, end: number) =>
    whyUnusable([small([4, 6])], usableRanges([small([4, 6])]), start, end);
  const rest = '; the IOVA ranges are [0x0, 0x3fff] [0x6000, 0xffff]';
  const region = `reaches into the reserved region 0x4000-0x5fff (reserved)${rest}`;
  expect(why(15, 17)).toBe(`reaches beyond ${limitOf(small())}${rest}`);
  expect([why(3, 5), why(5, 7), why(4, 6), why(0, 16)]).toEqual([region, region, region, region]);
  const none = `is not inside one of the IOVA ranges${rest}`;
  expect([why(2, 4), why(6, 8), why(15, 16)]).toEqual([none, none, none]);
  expect(limitOf(small())).toBe('0xffff, the last address of the IOMMU (16 bits)');
});

test('IOMMUs that are alike in every property share a domain, whatever preset they came from', () => {
  const one = IOMMU_PRESETS['intel-39'];
  expect(iommuKey({ ...one, logged: false } as never)).toBe(one.key);
  const others: Partial<IommuHardware>[] = [
    { vendor: 'other' },
    { addressWidth: 48 },
    { pageSizes: 0x1000n },
    { pageSizes: 0x2000n },
    { reserved: [] },
    { reserved: [{ ...one.reserved[0]!, type: 'reserved' }] },
    { reserved: [{ ...one.reserved[0]!, start: 1 }] },
    { reserved: [{ ...one.reserved[0]!, end: 2 ** 20 }] },
    { interruptRemapping: false },
    { enforcesCoherency: true },
    { scalable: true },
    { mapErrno: 'EIO' },
  ];
  const keys = new Set([one.key, ...others.map((other) => iommuKey({ ...one, ...other }))]);
  expect(keys.size).toBe(1 + others.length);
});

test('two presets were recorded, the IOMMU of a device that names none is one of them', () => {
  const recorded = Object.entries(IOMMU_PRESETS).filter(([, preset]) => isRecorded(preset));
  expect(recorded.map(([name]) => name)).toEqual(['intel-39', 'intel-48']);
  expect([isRecorded(DEFAULT_IOMMU), DEFAULT_IOMMU.logged]).toEqual([true, false]);
});

test('page sizes are the IOMMU’s, or what the kernel’s Intel driver says', () => {
  expect(pageSizesOf(IOMMU_PRESETS['arm-smmu'], LINUX_6_1)).toBe(0x40201000n);
  expect(pageSizesOf(IOMMU_PRESETS['intel-39'], LINUX_5_10)).toBe(LINUX_5_10.type1.iommuPageSizes);
});

test('coherency is what the IOMMU enforces; scalable mode counts on 5.10', () => {
  const coherent = (more: Partial<IommuHardware>) =>
    [LINUX_5_10, LINUX_7_2].map((gen) => isCoherent({ ...small(), ...more }, gen));
  expect(coherent({})).toEqual([false, false]);
  expect(coherent({ enforcesCoherency: true })).toEqual([true, true]);
  expect(coherent({ scalable: true })).toEqual([true, false]);
});

test('what is shown of an IOMMU is what a client may ask for again', () => {
  const asked = {
    ...{ preset: 'intel-48', addressWidth: 40, pageSizes: '0x1000' },
    reserved: [{ start: '0x1000', end: '0x2fff', type: 'msi' }],
    ...{ interruptRemapping: false, coherency: true, scalable: true, mapErrno: 'EIO' },
  };
  const rig = new CoreRig('6.1');
  rig.do('create-device', { device: 'x0', kind: 'vfio-pci', iommu: asked });
  expect(propertiesOf(rig.host.machine.device('x0').group.iommu!)).toEqual(asked);
  rig.do('create-device', { device: 'x1', kind: 'vfio-pci', iommu: 'intel-39' });
  const shown = propertiesOf(rig.host.machine.device('x1').group.iommu!);
  expect(shown).not.toHaveProperty('pageSizes');
  expect(shown).not.toHaveProperty('mapErrno');
});

test.each(['5.10', '6.1', '6.12', '6.12-iommufd', '7.2'])(
  '%s: a device whose firmware has a region of its own is EPERM, others are not',
  (version) => {
    const rig = new CoreRig(version);
    rig.do('open-container', { container: 'c0' });
    const reserved = (type: string) => [
      { start: '0x100000', end: '0x1fffff', type: 'reserved' },
      { start: '0x200000', end: '0x2fffff', type },
    ];
    const answers = ['direct', 'reserved'].map((type, i) => {
      const device = `x${i}`;
      rig.do('create-device', {
        device,
        kind: 'vfio-pci',
        iommu: { preset: 'intel-39', reserved: reserved(type) },
      });
      rig.do('open-group', { device });
      const replies = [
        rig.reply('set-container', { device, container: 'c0' }),
        rig.reply('set-iommu', { type: 3 }),
        rig.reply('open-device', { device }),
      ];
      const log = replies.flatMap(({ body }) => (body.log ?? []) as { kind: string; text: string }[]);
      rig.reply('close-device', { device });
      rig.reply('unset-container', { device });
      return [
        replies.some(({ body }) => body.errno === 'EPERM'),
        log.filter(({ text }) => /ineligible/.test(text)).map(({ text }) => text.slice(0, 14)),
      ];
    });
    expect(answers).toEqual([
      [true, ['vfio-pci x0: D']],
      [false, []],
    ]);
  },
);
