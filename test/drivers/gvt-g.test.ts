import { describe, expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import { b1, bugOf, CoreRig, logOf } from '../harness/core-rig.ts';

const MIB = 0x100000;
const EMPTY = { entries: 0, cache: [], dmaAddrs: [] };

/** One vGPU, and the mapping [0, 1 MiB). */
function gvtRig(variant = 'callback'): CoreRig {
  const rig = new CoreRig('6.1', { gpu: { type: 'gvt-g', variant } });
  rig.map(0, MIB);
  return rig;
}

function mapPage(rig: CoreRig, gfn: number, size = '4K'): Record<string, unknown> {
  return rig.do('gvt-map-page', { device: 'gpu', gfn, size });
}

function unmapPage(rig: CoreRig, gfn: number): Record<string, unknown> {
  return rig.do('gvt-unmap-page', { device: 'gpu', gfn });
}

function cache(rig: CoreRig): unknown {
  return rig.host.machine.device('gpu').driver.state!(256);
}

describe('GVT-g, pages', () => {
  test('a 4 KiB page is one pin, and its DMA address that of the host page', () => {
    const rig = gvtRig();
    const pfn = rig.host.machine.process('p0').mm.pfnOf(0x42);
    expect(mapPage(rig, 0x42)).toEqual({
      gfn: '0x42',
      size: '4K',
      dmaAddr: `0x${(pfn * 4096).toString(16)}`,
      ref: 1,
    });
    expect(rig.pins()).toEqual([['0x42000', 1]]);
  });

  test('the same page again counts up, the last unmap releases; an unknown one is passed over', () => {
    const rig = gvtRig();
    mapPage(rig, 0x42);
    expect(rig.do('gvt-map-page', { device: 'gpu', gfn: '0x42', size: '4K' }).ref).toBe(2);
    expect(rig.pins()).toEqual([['0x42000', 1]]);
    expect(unmapPage(rig, 0x42)).toEqual({ found: true, ref: 1 });
    expect(rig.pins()).toHaveLength(1);
    expect(unmapPage(rig, 0x42)).toEqual({ found: true, ref: 0 });
    expect(rig.pins()).toEqual([]);
    expect(unmapPage(rig, 0x42)).toEqual({ found: false, ref: 0 });
  });

  test('a 2 MiB page is 512 pins', () => {
    const rig = gvtRig();
    rig.map(MIB, MIB);
    expect(mapPage(rig, 0, '2M').ref).toBe(1);
    expect(rig.pins()).toHaveLength(512);
    expect(unmapPage(rig, 0)).toEqual({ found: true, ref: 0 });
    expect(rig.pins()).toEqual([]);
  });

  test('the same gfn in another size is released and pinned anew', () => {
    const rig = gvtRig();
    rig.map(MIB, MIB);
    mapPage(rig, 0);
    mapPage(rig, 0);
    expect(mapPage(rig, 0, '2M')).toMatchObject({ size: '2M', ref: 1 });
    expect(rig.pins()).toHaveLength(512);
    expect(rig.pins().every(([, ref]) => ref === 1)).toBe(true);
    mapPage(rig, 0, '4K');
    expect(rig.pins()).toEqual([['0x0', 1]]);
  });

  test('pages that do not follow each other in the host are unpinned again: EINVAL', () => {
    const rig = gvtRig();
    rig.map(MIB, MIB, { vaddr: 0x40000000 });
    expect(rig.errno('gvt-map-page', { device: 'gpu', gfn: 0, size: '2M' })).toBe('EINVAL');
    expect(rig.pins()).toEqual([]);
    expect(cache(rig)).toMatchObject(EMPTY);
  });

  test('the order of two neighbouring host pages matters', () => {
    const rig = new CoreRig('6.1', { gpu: { type: 'gvt-g', variant: 'callback' } });
    rig.map(0, 0x1000, { vaddr: 0x201000 });
    rig.map(0x1000, 0x1ff000, { vaddr: 0x200000 });
    expect(rig.errno('gvt-map-page', { device: 'gpu', gfn: 0, size: '2M' })).toBe('EINVAL');
    expect(rig.pins()).toEqual([]);
  });

  test('a 2 MiB page that runs into a hole unpins what it had', () => {
    const rig = gvtRig();
    const { body } = rig.reply('gvt-map-page', { device: 'gpu', gfn: 0, size: '2M' });
    expect(body.errno).toBe('EINVAL');
    expect(body).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });

  test('case 61: a page at an unmapped IOVA is EINVAL plus C2, every time; not up to 5.19', () => {
    const rig = gvtRig();
    for (let i = 0; i < 2; i++) {
      const { body } = rig.reply('gvt-map-page', { device: 'gpu', gfn: 0x90000, size: '4K' });
      expect(body.errno).toBe('EINVAL');
      expect(logOf(body)).toEqual(['vfio_unpin_pages']);
      expect(body.log).toMatchObject([{ line: 595 }]);
    }
    const old = gvtRig('notifier').reply('gvt-map-page', { device: 'gpu', gfn: 0x90000, size: '4K' });
    expect(old.body.errno).toBe('EINVAL');
    expect(old.body).not.toHaveProperty('log');
  });
});

describe('GVT-g, dma_unmap', () => {
  test.each(['notifier', 'callback'])(
    'story 1: %s: three scattered pages, one callback, success',
    (variant) => {
      const rig = gvtRig(variant);
      for (const gfn of [0x3, 0x42, 0xff]) mapPage(rig, gfn);
      mapPage(rig, 0x42);
      const reply = rig.unmap(0, MIB);
      expect(reply).toMatchObject({ status: 200, body: { size: '0x100000' } });
      expect(reply.body.invalidations).toEqual([{ device: 'gpu', iova: '0x0', length: '0x100000' }]);
      expect(reply.body).not.toHaveProperty('log');
      expect(cache(rig)).toMatchObject(EMPTY);
    },
  );

  test('pages outside the range stay', () => {
    const rig = gvtRig();
    rig.map(MIB, MIB);
    for (const gfn of [0x0, 0xff, 0x100, 0x1ff]) mapPage(rig, gfn);
    rig.unmap(0, MIB);
    expect(rig.pins().map(([key]) => key)).toEqual(['0x100000', '0x1ff000']);
    expect(cache(rig)).toMatchObject({ entries: 2, cache: [{ gfn: '0x100' }, { gfn: '0x1ff' }] });
  });

  test('so do they where the range is smaller than the cache', () => {
    const rig = gvtRig();
    for (const iova of [MIB, MIB + 0x2000]) rig.map(iova, 0x2000);
    for (const gfn of [0xff, 0x100, 0x101, 0x102]) mapPage(rig, gfn);
    rig.unmap(MIB, 0x2000);
    expect(rig.pins().map(([key]) => key)).toEqual(['0xff000', '0x102000']);
  });

  test('a huge range is no more work than its pages', () => {
    const rig = new CoreRig('6.1', { gpu: { type: 'gvt-g', variant: 'callback' } });
    rig.do('map-dma', { iova: 0, vaddr: 0, size: '0x8000000000000000', flags: 3 });
    mapPage(rig, 0x42);
    expect(rig.reply('unmap-dma', { iova: 0, size: '0x8000000000000000' }).status).toBe(200);
  });

  test('case 60: a 2 MiB page over two mappings: unmapping the upper one first is B1', () => {
    const rig = gvtRig();
    rig.map(MIB, MIB);
    mapPage(rig, 0, '2M');
    expect(bugOf(rig.unmap(MIB, MIB))).toEqual(b1(11));
  });

  test('case 60: unmapping the lower one first releases the pins of the upper one too', () => {
    const rig = gvtRig();
    rig.map(MIB, MIB);
    mapPage(rig, 0, '2M');
    expect(rig.unmap(0, MIB).status).toBe(200);
    expect(rig.pins()).toEqual([]);
    expect(rig.unmap(MIB, MIB)).toMatchObject({ status: 200, body: { invalidations: [] } });
  });

  test('double-shift unpins somewhere else: W3, and the BUG_ON', () => {
    const rig = gvtRig('double-shift');
    mapPage(rig, 0x42);
    const reply = rig.unmap(0, MIB);
    expect(bugOf(reply)).toEqual(b1(11));
    // The entry is forgotten with the first callback, so it is unpinned (wrongly) once.
    expect(logOf(reply.body)).toEqual(['vfio_iommu_type1_unpin_pages', 'vfio_dma_do_unmap']);
    expect(rig.pins()).toEqual([['0x42000', 1]]);
  });

  test('double-shift releases the page that its address happens to name', () => {
    const rig = gvtRig('double-shift');
    rig.map(0x42000000, 0x1000);
    mapPage(rig, 0x42);
    mapPage(rig, 0x42000);
    expect(rig.pins()).toHaveLength(2);
    // 0x42000 << 12 is where the other page is pinned.
    expect(unmapPage(rig, 0x42)).toEqual({ found: true, ref: 0 });
    expect(rig.pins()).toEqual([['0x42000', 1]]);
  });

  test('double-shift is right for frame 0', () => {
    const rig = gvtRig('double-shift');
    mapPage(rig, 0);
    expect(rig.unmap(0, MIB).status).toBe(200);
  });
});

describe('GVT-g, the device', () => {
  test.each(['notifier', 'callback'])(
    '%s: close releases all, and the cache is empty when it opens again',
    (variant) => {
      const rig = gvtRig(variant);
      rig.map(MIB, MIB);
      mapPage(rig, 0, '2M');
      mapPage(rig, 0x1);
      expect(rig.pins()).toHaveLength(512);
      expect(rig.do('close-device', { device: 'gpu' })).not.toHaveProperty('log');
      expect(rig.pins()).toEqual([]);
      rig.do('open-device', { device: 'gpu' });
      expect(cache(rig)).toMatchObject(EMPTY);
    },
  );

  test.each(['5.10', '6.12', '7.2'])('removed while open on %s: waits, without a warning', (version) => {
    const rig = new CoreRig(version, { gpu: { type: 'gvt-g' } });
    const removal = rig.start('remove-device', { device: 'gpu' });
    expect(removal.answer).toBeNull();
    expect(rig.host.dmesg()).not.toContain('WARNING');
    rig.do('close-device', { device: 'gpu' });
    rig.do('close-group', { device: 'gpu' });
    expect(toReply(removal.answer!).status).toBeLessThan(300);
  });

  test('case 62: removed while open: G2 the first time only, and the device stays registered', () => {
    const rig = gvtRig();
    mapPage(rig, 0x42);
    const first = rig.reply('remove-device', { device: 'gpu' });
    expect([first.status, first.body.errno]).toEqual([409, 'EBUSY']);
    expect(first.body.log).toMatchObject([
      { kind: 'WARN_ON_ONCE', function: 'intel_vgpu_remove', line: 1507 },
    ]);
    const again = rig.reply('remove-device', { device: 'gpu' });
    expect(again.body.errno).toBe('EBUSY');
    expect(again.body).not.toHaveProperty('log');
    expect(rig.unmap(0, MIB).body.invalidations).toHaveLength(1);
    rig.do('close-device', { device: 'gpu' });
    expect(rig.do('remove-device', { device: 'gpu' })).not.toHaveProperty('log');
  });

  test('removed when closed it says nothing', () => {
    const rig = gvtRig();
    rig.do('close-device', { device: 'gpu' });
    expect(rig.do('remove-device', { device: 'gpu' })).not.toHaveProperty('log');
    expect(rig.host.kernel.devices.has('gpu')).toBe(false);
  });

  test('with the device closed: EBADF', () => {
    const rig = gvtRig();
    rig.do('close-device', { device: 'gpu' });
    expect(rig.errno('gvt-map-page', { device: 'gpu', gfn: 1, size: '4K' })).toBe('EBADF');
    expect(rig.errno('gvt-unmap-page', { device: 'gpu', gfn: 1 })).toBe('EBADF');
  });

  test('a gfn is that of a 64-bit address', () => {
    const rig = gvtRig();
    expect(rig.errno('gvt-map-page', { device: 'gpu', gfn: '0xfffffffffffff', size: '4K' })).toBe('EINVAL');
    expect(() => rig.do('gvt-map-page', { device: 'gpu', gfn: '0x10000000000000', size: '4K' })).toThrow(
      '2^52',
    );
  });
});
