import { describe, expect, test } from 'vitest';
import { GTT_ENTRIES_MAX } from '../../schemas/drivers/gvt-g.ts';
import type { Vgpu } from '../../src/drivers/gvt-g/vgpu.ts';
import { b1, bugOf, CoreRig, logOf } from '../harness/core-rig.ts';
import { TYPE1_VERSIONS } from '../harness/kernels.ts';
import { hostFrom, textOf } from '../snapshot/restored.ts';

const MIB = 0x100000;
/** One vGPU as the kernel has it, and [0, 2 MiB) mapped. */
function gvtRig(version: string): CoreRig {
  const rig = new CoreRig(version, { gpu: { type: 'gvt-g' } });
  rig.map(0, 2 * MIB);
  return rig;
}

const mapPage = (rig: CoreRig, gfn: number, size = '4K') =>
  rig.do('gvt-map-page', { device: 'gpu', gfn, size });
const unmapPage = (rig: CoreRig, what: object) => rig.do('gvt-unmap-page', { device: 'gpu', ...what });
const pinPage = (rig: CoreRig, dmaAddr: unknown) => rig.do('gvt-pin-page', { device: 'gpu', dmaAddr });
const unpinPage = (rig: CoreRig, dmaAddr: unknown) => rig.do('gvt-unpin-page', { device: 'gpu', dmaAddr });
const reset = (rig: CoreRig) => rig.do('gvt-reset', { device: 'gpu' });
const keys = (rig: CoreRig) => rig.pins().map(([key]) => key);
const state = (rig: CoreRig) =>
  rig.host.machine.device('gpu').driver.state!(256) as { gtt: object[]; cache: object[]; dmaAddrs: object[] };

describe.each(TYPE1_VERSIONS)('references by DMA address (M8): %s', (version) => {
  test('an entry that names a DMA address drops the reference of the page there', () => {
    const rig = gvtRig(version);
    const { dmaAddr } = mapPage(rig, 5);
    mapPage(rig, 5);
    expect(unmapPage(rig, { dmaAddr })).toEqual({ found: true, ref: 1, gfn: '0x5' });
    expect(unmapPage(rig, { dmaAddr })).toEqual({ found: true, ref: 0, gfn: '0x5' });
    expect(unmapPage(rig, { dmaAddr })).toEqual({ found: false, ref: 0 });
    expect(keys(rig)).toEqual([]);
    expect(state(rig).gtt).toEqual([]);
  });

  test('two guest pages on one host page share it: the other page loses its pin', () => {
    const rig = gvtRig(version);
    rig.map(0x400000, 0x1000, { vaddr: 0x5000 });
    const first = mapPage(rig, 5);
    const second = mapPage(rig, 0x400);
    expect(second.dmaAddr).toBe(first.dmaAddr);
    expect(keys(rig)).toEqual(['0x5000', '0x400000']);
    expect(unmapPage(rig, { gfn: 0x400 })).toEqual({ found: true, ref: 0, gfn: '0x5' });
    expect(keys(rig)).toEqual(['0x400000']);
    // Gone for the unmap of one, and still there for that of the other.
    expect(rig.unmap(0, 2 * MIB).body.invalidations).toEqual([]);
    expect(rig.unmap(0x400000, 0x1000).body.invalidations).toHaveLength(1);
    expect(keys(rig)).toEqual([]);
  });

  test('of three with one DMA address the root of the tree goes first', () => {
    const rig = gvtRig(version);
    for (const i of [4, 5, 6]) rig.map(i * MIB, 0x1000, { vaddr: 0x5000 });
    for (const i of [4, 5, 6]) mapPage(rig, i * 0x100);
    // Three to the right of each other: a rotation brings the second to the root.
    expect(unmapPage(rig, { gfn: 0x400 })).toMatchObject({ gfn: '0x500', ref: 0 });
    expect(unmapPage(rig, { gfn: 0x500 })).toMatchObject({ found: true, ref: 0 });
    expect(unmapPage(rig, { gfn: 0x600 })).toMatchObject({ found: true, ref: 0 });
    expect(keys(rig)).toEqual([]);
  });

  test('a snapshot keeps which of three is the root', () => {
    const rig = gvtRig(version);
    for (const i of [4, 5, 6]) rig.map(i * MIB, 0x1000, { vaddr: 0x5000 });
    for (const i of [4, 5, 6]) mapPage(rig, i * 0x100);
    const restored = hostFrom(textOf(rig.host));
    expect(textOf(restored)).toBe(textOf(rig.host));
    const { answer } = restored.start({ call: 'gvt-unmap-page', device: 'gpu', gfn: 0x400 });
    expect(answer?.end).toMatchObject({ value: { gfn: '0x500', ref: 0 } });
  });

  test('an entry outlives the unmap of its page, and drops the page that comes after it', () => {
    const rig = gvtRig(version);
    mapPage(rig, 5);
    rig.unmap(0, 2 * MIB);
    expect(state(rig)).toMatchObject({ cache: [], gtt: [{ gfn: '0x5', times: 1 }] });
    rig.map(0, 2 * MIB);
    mapPage(rig, 5);
    expect(unmapPage(rig, { gfn: 5 })).toEqual({ found: true, ref: 0 });
    expect(keys(rig)).toEqual([]);
    expect(unmapPage(rig, { gfn: 5 })).toEqual({ found: false, ref: 0 });
    expect(unmapPage(rig, { gfn: 5 })).toEqual({ found: false, ref: 0 });
  });

  test('an old entry of 4 KiB drops the page of 2 MiB that took its place', () => {
    const rig = gvtRig(version);
    const { dmaAddr } = mapPage(rig, 0);
    expect(mapPage(rig, 0, '2M').dmaAddr).toBe(dmaAddr);
    expect(unmapPage(rig, { dmaAddr })).toMatchObject({ gfn: '0x0', ref: 0 });
    expect(keys(rig)).toEqual([]);
  });

  test('entries of one page with two DMA addresses: the one written last is cleared first, each on its own', () => {
    const rig = gvtRig(version);
    const remap = (vaddr: number) => {
      rig.unmap(0, 2 * MIB);
      rig.map(0, 2 * MIB, { vaddr });
      return mapPage(rig, 5).dmaAddr;
    };
    const old = mapPage(rig, 5).dmaAddr;
    const other = remap(4 * MIB);
    expect(other).not.toBe(old);
    const entry = (dmaAddr: unknown, times: number) => ({ gfn: '0x5', dmaAddr, times });
    expect(state(rig).gtt).toMatchObject([entry(old, 1), entry(other, 1)]);
    expect(remap(0)).toBe(old);
    expect(state(rig).gtt).toMatchObject([entry(other, 1), entry(old, 2)]);
    unmapPage(rig, { gfn: 5 });
    expect(state(rig).gtt).toMatchObject([entry(other, 1), entry(old, 1)]);
    unmapPage(rig, { gfn: 5 });
    expect(state(rig).gtt).toMatchObject([entry(other, 1)]);
    unmapPage(rig, { gfn: 5 });
    expect(state(rig).gtt).toEqual([]);
  });

  test('entries of one page and two sizes are two', () => {
    const rig = gvtRig(version);
    mapPage(rig, 0);
    mapPage(rig, 0, '2M');
    expect(state(rig).gtt).toMatchObject([
      { gfn: '0x0', size: '4K', times: 1 },
      { gfn: '0x0', size: '2M', times: 1 },
    ]);
    const { gtt } = rig.host.machine.device('gpu').driver as Vgpu;
    expect(gtt.count).toBe(2);
    mapPage(rig, 0, '2M');
    expect(gtt.count).toBe(2);
    for (const left of [2, 1, 0]) {
      unmapPage(rig, { gfn: 0 });
      expect(gtt.count).toBe(left);
    }
  });

  test('an entry of another close is still there, and means nothing', () => {
    const rig = gvtRig(version);
    mapPage(rig, 5);
    rig.do('close-device', { device: 'gpu' });
    rig.do('open-device', { device: 'gpu' });
    expect(state(rig).gtt).toHaveLength(1);
    expect(unmapPage(rig, { gfn: 5 })).toEqual({ found: false, ref: 0 });
    expect(state(rig).gtt).toEqual([]);
  });

  test.each([[{}], [{ gfn: 1, dmaAddr: 0x1000 }]])('%j names no page: 400', (what) => {
    expect(() => unmapPage(gvtRig(version), what)).toThrow('"gfn" or "dmaAddr", and not both');
  });

  test.each(['gvt-unmap-page', 'gvt-pin-page', 'gvt-unpin-page'])('%s of no page frame: 400', (call) => {
    expect(() => gvtRig(version).do(call, { device: 'gpu', dmaAddr: 0x1001 })).toThrow('multiple of 4096');
  });
});

describe.each(TYPE1_VERSIONS)('a dma-buf and VFIO_DEVICE_RESET (M2): %s', (version) => {
  test('a dma-buf holds the page after the page tables have let it go', () => {
    const rig = gvtRig(version);
    const { dmaAddr } = mapPage(rig, 5);
    expect(pinPage(rig, dmaAddr)).toEqual({ gfn: '0x5', size: '4K', dmaAddr, ref: 2 });
    expect(unmapPage(rig, { gfn: 5 })).toEqual({ found: true, ref: 1 });
    expect(keys(rig)).toEqual(['0x5000']);
    expect(unpinPage(rig, dmaAddr)).toEqual({ found: true, ref: 0, gfn: '0x5' });
    expect(keys(rig)).toEqual([]);
    expect(unpinPage(rig, dmaAddr)).toEqual({ found: false, ref: 0 });
  });

  test('no page at the DMA address: ENOMEM', () => {
    const rig = gvtRig(version);
    const { dmaAddr } = mapPage(rig, 5);
    unmapPage(rig, { gfn: 5 });
    expect(rig.errno('gvt-pin-page', { device: 'gpu', dmaAddr })).toBe('ENOMEM');
  });

  test('an unmap takes the page from the dma-buf as well', () => {
    const rig = gvtRig(version);
    const { dmaAddr } = mapPage(rig, 5);
    pinPage(rig, dmaAddr);
    expect(rig.unmap(0, 2 * MIB).status).toBe(200);
    expect(unpinPage(rig, dmaAddr)).toEqual({ found: false, ref: 0 });
  });

  test('so does the last close; on a closed device nothing can be pinned, and nothing is unpinned', () => {
    const rig = gvtRig(version);
    const { dmaAddr } = mapPage(rig, 5);
    pinPage(rig, dmaAddr);
    rig.do('close-device', { device: 'gpu' });
    expect(keys(rig)).toEqual([]);
    const errno = ['5.10', '6.1'].includes(version) ? 'ENODEV' : 'EINVAL';
    expect(rig.errno('gvt-pin-page', { device: 'gpu', dmaAddr })).toBe(errno);
    expect(unpinPage(rig, dmaAddr)).toEqual({ found: false, ref: 0 });
  });

  test('RESET lets go of every 4 KiB entry, however often it is there', () => {
    const rig = gvtRig(version);
    for (const gfn of [5, 5, 9, 0x1ff]) mapPage(rig, gfn);
    expect(reset(rig)).toEqual({});
    expect(keys(rig)).toEqual([]);
    expect(state(rig)).toMatchObject({ cache: [], dmaAddrs: [], gtt: [] });
    expect(rig.unmap(0, 2 * MIB).body.invalidations).toEqual([]);
  });

  test('RESET leaves what a dma-buf holds', () => {
    const rig = gvtRig(version);
    const { dmaAddr } = mapPage(rig, 5);
    pinPage(rig, dmaAddr);
    reset(rig);
    expect(keys(rig)).toEqual(['0x5000']);
    expect(state(rig)).toMatchObject({ cache: [{ gfn: '0x5', ref: 1 }], gtt: [] });
    unpinPage(rig, dmaAddr);
    expect(keys(rig)).toEqual([]);
  });

  test('RESET passes over 2 MiB entries: the page stays pinned until it is unmapped', () => {
    const rig = gvtRig(version);
    mapPage(rig, 0, '2M');
    expect(reset(rig)).toMatchObject({
      kept: ['0x0'],
      advisories: [{ kind: 'KERNEL_BUG:gvt-reset-keeps-2m', devices: ['gpu'], iova: '0x0', count: 1 }],
    });
    expect(rig.pins()).toHaveLength(512);
    expect(unmapPage(rig, { gfn: 0 })).toEqual({ found: false, ref: 0 });
    expect(rig.unmap(0, 2 * MIB)).toMatchObject({ status: 200, body: { size: '0x200000' } });
    expect(rig.pins()).toEqual([]);
  });

  test('RESET names no page of 2 MiB that has gone, or that is one of 4 KiB by now', () => {
    const rig = gvtRig(version);
    mapPage(rig, 0, '2M');
    rig.unmap(0, 2 * MIB);
    rig.map(0, 2 * MIB);
    expect(state(rig).gtt).toHaveLength(1);
    expect(reset(rig)).toEqual({});
    mapPage(rig, 0, '2M');
    const { dmaAddr } = mapPage(rig, 0);
    pinPage(rig, dmaAddr);
    expect(reset(rig)).toEqual({});
    expect(keys(rig)).toEqual(['0x0']);
  });

  test('or until the vGPU is closed', () => {
    const rig = gvtRig(version);
    mapPage(rig, 0, '2M');
    reset(rig);
    rig.do('close-device', { device: 'gpu' });
    expect(rig.pins()).toEqual([]);
  });

  test('RESET on a closed device: EBADF', () => {
    const rig = gvtRig(version);
    rig.do('close-device', { device: 'gpu' });
    expect(rig.errno('gvt-reset', { device: 'gpu' })).toBe('EBADF');
  });
});

test('page tables that are full take no more entries', () => {
  const rig = gvtRig('6.1');
  (rig.host.machine.device('gpu').driver as Vgpu).gtt.count = GTT_ENTRIES_MAX;
  expect(() => mapPage(rig, 5)).toThrow(expect.objectContaining({ kind: 'too-many' }));
  expect(keys(rig)).toEqual([]);
});

describe('what an unpin finds gone', () => {
  /** A vGPU whose page somebody else has unpinned, so that its mapping went without a callback. */
  function robbed(version: string): CoreRig {
    const rig = new CoreRig(version, {
      gpu: { type: 'gvt-g' },
      d: { type: 'synthetic', onDmaUnmap: 'ignore' },
    });
    rig.map(0, MIB);
    mapPage(rig, 5);
    rig.do('unpin-pages', { device: 'd', iova: 0x5000, npage: 1 });
    expect(rig.unmap(0, MIB).body.invalidations).toEqual([]);
    return rig;
  }

  test('5.10 looks at the answer of each unpin: a warning of its own', () => {
    const { log } = robbed('5.10').do('close-device', { device: 'gpu' });
    expect(log).toMatchObject([
      {
        kind: 'WARN_ON',
        function: 'gvt_unpin_guest_page',
        condition: 'ret != 1',
        file: 'drivers/gpu/drm/i915/gvt/kvmgt.c',
        line: 166,
      },
    ]);
  });

  test.each(['6.1', '6.12', '7.2'])('%s leaves it to type1 to warn', (version) => {
    const body = robbed(version).do('close-device', { device: 'gpu' });
    expect(logOf(body)).toEqual(['vfio_iommu_type1_unpin_pages']);
  });

  test('the console says where: in the module kvmgt, at its own line', () => {
    const rig = robbed('5.10');
    rig.do('close-device', { device: 'gpu' });
    const lines = rig.host.dmesg();
    expect(lines).toMatch(
      /WARNING: .* at drivers\/gpu\/drm\/i915\/gvt\/kvmgt\.c:166 gvt_unpin_guest_page\+.* \[kvmgt\]/,
    );
    expect(lines).toContain('Modules linked in: kvmgt vfio_iommu_type1');
  });

  test.each([
    ['5.10', 'intel_vgpu_iommu_notifier'],
    ['6.1', 'intel_vgpu_dma_unmap'],
  ])('the console of %s names the callback as its source does', (version, name) => {
    const rig = new CoreRig(version, { gpu: { type: 'gvt-g' } });
    rig.map(0, MIB);
    rig.map(MIB, MIB);
    mapPage(rig, 0, '2M');
    for (let page = 1; page < 512; page++) {
      rig.do('unpin-pages', { device: 'gpu', iova: page * 4096, npage: 1 });
    }
    rig.unmap(MIB, MIB);
    expect(rig.unmap(0, MIB).status).toBe(200);
    const frames = rig.host
      .dmesg()
      .split('\n')
      .map((line) => /\] {2}(\w+)\+0x/.exec(line)?.[1]);
    expect(frames).toContain(name);
  });

  test('the driver of 5.10 on 6.1, where unpin has no answer, does not warn', () => {
    const rig = new CoreRig('6.1', { gpu: { type: 'gvt-g', variant: 'notifier' } });
    rig.map(0, 2 * MIB);
    mapPage(rig, 0, '2M');
    expect(rig.do('close-device', { device: 'gpu' })).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });

  test('pages of 2 MiB are unpinned one by one on 5.10, so one that is gone does not keep the next', () => {
    const rig = new CoreRig('5.10', { gpu: { type: 'gvt-g' } });
    rig.map(0, MIB);
    rig.map(MIB, MIB);
    mapPage(rig, 0, '2M');
    for (let page = 0; page < 256; page++) {
      rig.do('unpin-pages', { device: 'gpu', iova: page * 4096, npage: 1 });
    }
    expect(rig.unmap(0, MIB).body.invalidations).toEqual([]);
    const { log } = rig.do('close-device', { device: 'gpu' }) as { log: unknown[] };
    expect(log).toHaveLength(256);
    expect(rig.pins()).toEqual([]);
  });

  test('all in one call from 6.0 on, so one that is gone keeps all after it pinned', () => {
    const rig = new CoreRig('6.1', { gpu: { type: 'gvt-g' } });
    rig.map(0, MIB);
    rig.map(MIB, MIB);
    mapPage(rig, 0, '2M');
    for (let page = 0; page < 256; page++) {
      rig.do('unpin-pages', { device: 'gpu', iova: page * 4096, npage: 1 });
    }
    rig.unmap(0, MIB);
    expect(logOf(rig.do('close-device', { device: 'gpu' }))).toEqual(['vfio_iommu_type1_unpin_pages']);
    expect(rig.pins()).toHaveLength(256);
    rig.do('open-device', { device: 'gpu' });
    expect(bugOf(rig.unmap(MIB, MIB))).toEqual(b1(11));
  });
});

describe.each(TYPE1_VERSIONS)('branches that touch no pin: %s', (version) => {
  test('a DMA address that no entry has: nothing is found, and every entry and pin stays', () => {
    const rig = gvtRig(version);
    mapPage(rig, 5);
    expect(unmapPage(rig, { dmaAddr: '0x123000' })).toEqual({ found: false, ref: 0 });
    expect(state(rig).gtt).toHaveLength(1);
    expect(keys(rig)).toEqual(['0x5000']);
  });

  test('a pin that fails at its first page: nothing is pinned, and on 6.1 an unpin of no page warns', () => {
    const rig = gvtRig(version);
    const { body } = rig.reply('gvt-map-page', { device: 'gpu', gfn: 0x10000, size: '4K' });
    expect(body.errno).toBe('EINVAL');
    expect(keys(rig)).toEqual([]);
    expect(logOf(body).length > 0).toBe(version === '6.1');
  });

  test('a 2 MiB page that fails halfway: what was pinned is given back', () => {
    const rig = gvtRig(version);
    rig.map(0x400000, MIB);
    const { body } = rig.reply('gvt-map-page', { device: 'gpu', gfn: 0x400, size: '2M' });
    expect(body.errno).toBe('EINVAL');
    expect(keys(rig)).toEqual([]);
  });
});
