import { expect, test } from 'vitest';
import { CoreRig } from '../harness/core-rig.ts';
import { TYPE1_VERSIONS } from '../harness/kernels.ts';
import { hostFrom, textOf } from '../snapshot/restored.ts';

/** Container c0 of type 8 with the open device n0, which has no IOMMU. */
function rigOf(version: string): CoreRig {
  const rig = new CoreRig(version);
  rig.do('set-parameters', { enableUnsafeNoiommuMode: true });
  rig.do('open-container', { container: 'c0' });
  rig.do('create-device', { device: 'n0', kind: 'noiommu' });
  rig.do('open-group', { device: 'n0' });
  rig.do('set-container', { device: 'n0', container: 'c0' });
  rig.do('set-iommu', { type: 8 });
  rig.do('open-device', { device: 'n0' });
  return rig;
}

const last = <T>(work: Generator<void, T>): T => {
  const { done, value } = work.next();
  if (!done) throw new Error('it stopped on its way');
  return value;
};

test.each(TYPE1_VERSIONS)(
  '%s: a container without an IOMMU shows nothing that is mapped or pinned',
  (version) => {
    const rig = rigOf(version);
    const view = rig.host.machine.container('c0').view!;
    expect(view).toMatchObject({
      ...{ type: 8, mappingCount: 0, pinCount: 0, dmaAvail: null, dirtyTracking: false },
      ...{ attempts: 0, devices: [], wedgedBy: null },
    });
    expect([...view.mappings()]).toEqual([]);
    expect([last(view.mappingPage(0, 10)), last(view.pinPage(0, 10))]).toEqual([[], []]);
    expect(view.chargedAt(0, 2 ** 40)).toBeNull();
  },
);

test.each(TYPE1_VERSIONS)('%s: it has none of the ioctls: ENOTTY', (version) => {
  const rig = rigOf(version);
  for (const [call, args] of [
    ['map-dma', { iova: 0, vaddr: 0, size: 0x1000, flags: 3 }],
    ['unmap-dma', { iova: 0, size: 0x1000 }],
    ['iommu-info', {}],
    ['dirty-start', {}],
  ] as const)
    expect(rig.errno(call, args), call).toBe('ENOTTY');
  expect(rig.do('check-extension', { extension: 8 }).value).toBe(1);
});

test.each(TYPE1_VERSIONS)(
  '%s: a snapshot of it is read again, and its device is closed as before',
  (version) => {
    const rig = rigOf(version);
    const text = textOf(rig.host);
    const restored = hostFrom(text);
    expect(textOf(restored)).toBe(text);
    for (const call of ['close-device', 'unset-container', 'close-group']) {
      for (const host of [rig.host, restored])
        expect(host.start({ call, device: 'n0' }).answer?.end.how).toBe('returned');
    }
    expect(textOf(restored)).toBe(textOf(rig.host));
  },
);
