import { describe, expect, test } from 'vitest';
import { differencesBetween } from '../../src/kernel/generations/differences.ts';
import { GENERATIONS } from '../../src/kernel/generations/index.ts';
import { CoreRig } from '../harness/core-rig.ts';

/** An unmap of 16 pages at 0x10000 while vfio-ap has pinned a notification byte in the fifth. */
function unmapWithNib(version: string, driver: Record<string, unknown>): Record<string, unknown> {
  const rig = new CoreRig(version, { ap: driver });
  rig.map(0x10000, 0x10000, { vaddr: 0 });
  const { response } = rig.do('ap-enable-interrupt', { device: 'ap', apqn: 0, nib: 0x14008, isc: 3 });
  expect(response).toBe(0);
  return rig.unmap(0x10000, 0x10000).body;
}

const RANGE = {
  'vfio-ap': { variant: 'range' },
  'vfio-ccw': { variant: 'range-deferred', reads: 'dma-rw' },
  'gvt-g': { variant: 'callback', emptyUnpin: false },
};
const VARIANTS: Record<string, Record<string, object>> = {
  '5.10': {
    'vfio-ap': { variant: 'notifier' },
    'vfio-ccw': { variant: 'notifier', reads: 'pin' },
    'gvt-g': { variant: 'notifier', emptyUnpin: true },
  },
  '6.1': {
    'vfio-ap': { variant: 'callback' },
    'vfio-ccw': { variant: 'range-deferred', reads: 'pin' },
    'gvt-g': { variant: 'callback', emptyUnpin: true },
  },
  '6.12': RANGE,
  '7.2': RANGE,
  '6.12-iommufd': RANGE,
};

/** What came with vfio-ap of 6.1, with that of 6.12, and with both. */
const AP_6_1 = ['guest-needed', 'aqic-unread', 'exact-byte', 'matrix'].map((id) => `vfio-ap-${id}`);
const AP_BOTH = ['isc', 'bus-scan'].map((id) => `vfio-ap-${id}`);
const AP_6_12 = ['filter', 'queues', 'reset-answers', 'order', 'callback'].map((id) => `vfio-ap-${id}`);
const TO_6_1 = [...AP_6_1, 'vfio-ccw-callback', 'vfio-ccw-notoper', 'vfio-ccw-exact-keys', 'gvt-g-callback'];
const TO_6_12 = [...AP_6_12, 'vfio-ccw-dma-rw', 'gvt-g-page-tracking'];

test.each([
  ['5.10', '6.1', [...AP_BOTH, ...TO_6_1]],
  ['6.1', '6.12', [...AP_BOTH, ...TO_6_12]],
  ['5.10', '6.12', [...AP_BOTH, ...TO_6_1, ...TO_6_12]],
  ['6.12', '5.10', [...AP_BOTH, ...TO_6_1, ...TO_6_12]],
  ['6.12', '7.2', ['vfio-ap-request']],
])('between %s and %s the drivers differ in %j', (from, to, ids) => {
  const [a, b] = [from, to].map((version) => GENERATIONS.find((gen) => gen.version === version)!);
  const found = differencesBetween(a!, b!).filter(({ traits }) =>
    traits.some((t) => t.startsWith('drivers')),
  );
  expect(found.map(({ id }) => id).sort()).toEqual([...ids].sort());
});

describe('a driver without a variant gets the one of its host’s kernel', () => {
  test.each([
    ['5.10', true],
    ['6.1', true],
    ['6.12', undefined],
    ['7.2', undefined],
  ])('vfio-ap on %s: killed %s', (version, killed) => {
    expect(unmapWithNib(version, { type: 'vfio-ap' }).killed).toBe(killed);
  });

  test.each(GENERATIONS)('on $version the three drivers are shown in its variant', (gen) => {
    const rig = new CoreRig(gen.version);
    for (const type of ['vfio-ap', 'vfio-ccw', 'gvt-g'] as const) {
      expect(rig.reply('create-device', { driver: { type } }).body.driver).toMatchObject({
        type,
        ...VARIANTS[gen.version]![type],
      });
    }
  });
});

test('another variant may be asked for: the fixed vfio-ap on 6.1 is a backport', () => {
  expect(unmapWithNib('6.1', { type: 'vfio-ap', variant: 'range' })).toMatchObject({ size: '0x10000' });
});

test.each([
  ['6.1', ['npage <= 0 || npage > VFIO_PIN_PAGES_MAX_ENTRIES']],
  ['6.12', undefined],
])('GVT-g on %s unpins 0 pages after a first page that fails, or no longer', (version, warned) => {
  const rig = new CoreRig(version, { gpu: { type: 'gvt-g' } });
  const { errno, log } = rig.reply('gvt-map-page', { device: 'gpu', gfn: 16, size: '4K' }).body;
  expect(errno).toBe('EINVAL');
  expect((log as { condition: string }[] | undefined)?.map(({ condition }) => condition)).toEqual(warned);
});
