import { describe, expect, test } from 'vitest';
import { hex } from '../../src/kernel/pages.ts';
import { advisoriesOf, CoreRig, logOf } from '../harness/core-rig.ts';
import { synthetic, type TestRig } from '../harness/test-rig.ts';

const VERSION = '6.12-iommufd';

/** A rig with container c0 and nothing else. */
function bare(): CoreRig {
  const rig = new CoreRig(VERSION);
  rig.do('open-container', { container: 'c0' });
  return rig;
}

type Iommu = string | object;

/** A device behind an IOMMU with its group in a container; it stays closed. */
function join(rig: TestRig<unknown, unknown>, device: string, more: { iommu?: Iommu; group?: string } = {}) {
  rig.do('create-device', { device, kind: 'vfio-pci', ...more });
  rig.do('open-group', { device });
  rig.do('set-container', { device, container: 'c0' });
}

const lockedOf = (rig: CoreRig) => {
  const { mm } = rig.host.machine.process('p0');
  return [mm.lockedVm, mm.pinnedVm];
};
const open = (rig: CoreRig, device: string) => rig.do('open-device', { device });
/** Drops CAP_IPC_LOCK. */
const limited = (rig: CoreRig, bytes: number) => rig.do('set-memlock', { process: 'p0', bytes });

describe('binding a device', () => {
  test('of a group of which another is open through another container: EPERM', () => {
    const rig = bare();
    join(rig, 'x0', { group: 'g' });
    rig.do('create-device', { device: 'x1', kind: 'vfio-pci', group: 'g' });
    open(rig, 'x0');
    rig.do('unset-container', { device: 'x0' });
    rig.do('open-container', { container: 'c1' });
    rig.do('set-container', { device: 'x1', container: 'c1' });
    expect(rig.errno('open-device', { device: 'x1' })).toBe('EPERM');
    expect(rig.host.machine.device('x1').openCount).toBe(0);
    rig.do('close-device', { device: 'x0' });
    open(rig, 'x1');
  });

  test('the DMA of a group is claimed as long as one of its devices is open', () => {
    const rig = bare();
    join(rig, 'x0', { group: 'g' });
    rig.do('create-device', { device: 'x1', kind: 'vfio-pci', group: 'g' });
    const { group } = rig.host.machine.device('x0');
    const claimed = () => group.dmaOwnerClaimed;
    open(rig, 'x0');
    open(rig, 'x1');
    expect(claimed()).toBe(true);
    rig.do('close-device', { device: 'x0' });
    expect(claimed()).toBe(true);
    rig.do('close-device', { device: 'x1' });
    expect(claimed()).toBe(false);
  });

  test('the group of an mdev has no DMA to claim', () => {
    const rig = new CoreRig(VERSION, { d0: synthetic('ignore') });
    const { group } = rig.host.machine.device('d0');
    expect(group.dmaOwnerClaimed).toBe(false);
    rig.do('close-device', { device: 'd0' });
    expect(group.dmaOwnerClaimed).toBe(false);
  });

  test('behind an IOMMU without interrupt remapping: EPERM unless unsafe interrupts are allowed', () => {
    const rig = bare();
    join(rig, 'x0', { iommu: { preset: 'intel-39', interruptRemapping: false } });
    expect(rig.errno('open-device', { device: 'x0' })).toBe('EPERM');
    expect(rig.host.machine.device('x0').openCount).toBe(0);
    rig.do('set-parameters', { allowUnsafeInterrupts: true });
    expect(rig.do('open-device', { device: 'x0' }).log).toEqual([
      { kind: 'PR_WARN', text: expect.stringMatching(/^vfio-pci x0: MSI interrupts are not secure/) },
    ]);
    rig.do('close-device', { device: 'x0' });
    rig.do('set-parameters', { allowUnsafeInterrupts: false });
    expect(rig.errno('open-device', { device: 'x0' })).toBe('EPERM');
  });

  test('a device whose attaching failed is closed again: it opens as soon as nothing is in the way', () => {
    const rig = bare();
    rig.do('create-device', { device: 'gpu', driver: { type: 'gvt-g' } });
    rig.do('open-group', { device: 'gpu' });
    rig.do('set-container', { device: 'gpu', container: 'c0' });
    rig.map(0, 0x800);
    expect(rig.errno('open-device', { device: 'gpu' })).toBe('EADDRINUSE');
    // Nothing needs whole pages: what would be refused beside an open device is not.
    rig.map(0x2000, 0x800);
    rig.unmap(0, 0x4000);
    expect(open(rig, 'gpu')).toEqual({});
    expect(rig.host.machine.device('gpu').openCount).toBe(1);
  });

  test.each([
    ['its start', 0x800, 0x800, 0x200000],
    ['its end', 0x1000, 0x800, 0x200000],
    ['its memory', 0x1000, 0x1000, 0x200800],
  ])(
    'a mapping of which %s is within a page: EADDRINUSE, for an mdev and behind an IOMMU',
    (_, iova, size, vaddr) => {
      const rig = bare();
      join(rig, 'x0');
      rig.do('create-device', { device: 'd0', driver: synthetic('ignore') });
      rig.do('open-group', { device: 'd0' });
      rig.do('set-container', { device: 'd0', container: 'c0' });
      rig.map(iova, size, { vaddr });
      for (const device of ['x0', 'd0']) expect(rig.errno('open-device', { device })).toBe('EADDRINUSE');
      expect(rig.errno('set-iommu', { type: 1 })).toBe('EADDRINUSE');
      rig.unmap(0, 0x10000);
      for (const device of ['x0', 'd0']) open(rig, device);
    },
  );
});

describe('the domains of an IOAS', () => {
  test('an IOMMU of another kind gets every mapping as well, and may fail: nothing is left of the device', () => {
    const rig = bare();
    join(rig, 'x0');
    join(rig, 'x1', { iommu: { preset: 'intel-39', mapErrno: 'ENOMEM' } });
    limited(rig, 0x10000);
    open(rig, 'x0');
    rig.map(0, 0x3000, { vaddr: 0x200000 });
    rig.map(0x10000, 0x1000, { vaddr: 0x200000 });
    const charged = lockedOf(rig);
    expect(charged).toEqual([4, 4]);
    expect(rig.errno('open-device', { device: 'x1' })).toBe('ENOMEM');
    expect(lockedOf(rig)).toEqual(charged);
    expect(rig.host.machine.device('x1').openCount).toBe(0);
    // The mapping that it fails is none of the first device’s domain.
    rig.map(0x20000, 0x1000);
    rig.do('close-device', { device: 'x0' });
    expect(lockedOf(rig)).toEqual([0, 0]);
  });

  test('with an IOMMU that fails every map nothing can be mapped, until it goes', () => {
    const rig = bare();
    join(rig, 'x0', { iommu: { preset: 'intel-48', mapErrno: 'EIO' } });
    open(rig, 'x0');
    const before = lockedOf(rig);
    expect(rig.tryMap(0, 0x1000).body.errno).toBe('EIO');
    expect(lockedOf(rig)).toEqual(before);
    rig.do('close-device', { device: 'x0' });
    rig.map(0, 0x1000);
    expect(rig.errno('open-device', { device: 'x0' })).toBe('EIO');
  });

  /** A second container of the process, whose domain is charged for the memory from 0x200000 on, two pages. */
  function charged(rig: CoreRig): void {
    limited(rig, 0x10000);
    rig.do('open-container', { container: 'c1' });
    rig.do('create-device', { device: 'y0', kind: 'vfio-pci' });
    rig.do('open-group', { device: 'y0' });
    rig.do('set-container', { device: 'y0', container: 'c1' });
    open(rig, 'y0');
    rig.map(0, 0x2000, { container: 'c1', vaddr: 0x200000 });
  }
  const TWICE = ['CHARGED_TWICE  0x10000 ×1'];

  test('memory that another container is charged for: CHARGED_TWICE; a second kind of IOMMU charges nothing', () => {
    const rig = bare();
    join(rig, 'x0');
    join(rig, 'x1', { iommu: 'intel-48' });
    charged(rig);
    open(rig, 'x0');
    expect(advisoriesOf(rig.map(0x10000, 0x1000, { vaddr: 0x201000 }))).toEqual(TWICE);
    expect(rig.map(0x20000, 0x1000, { vaddr: 0x202000 })).not.toHaveProperty('advisories');
    expect(rig.map(0x30000, 0x1000, { vaddr: 0x1ff000 })).not.toHaveProperty('advisories');
    expect(open(rig, 'x1')).not.toHaveProperty('advisories');
    expect(lockedOf(rig)).toEqual([5, 5]);
    rig.do('close-device', { device: 'x0' });
    expect(lockedOf(rig)).toEqual([5, 5]);
  });

  test('a mapping beyond RLIMIT_MEMLOCK is refused, and not charged at all', () => {
    const rig = bare();
    join(rig, 'x0');
    charged(rig);
    limited(rig, 0x2000);
    open(rig, 'x0');
    const { body } = rig.tryMap(0x10000, 0x1000, { vaddr: 0x200000 });
    expect([body.errno, body.advisories]).toEqual(['ENOMEM', undefined]);
  });

  test('of a process with CAP_IPC_LOCK nothing is charged, and nothing twice', () => {
    const rig = bare();
    join(rig, 'x0');
    rig.do('open-container', { container: 'c1' });
    open(rig, 'x0');
    rig.map(0, 0x1000, { vaddr: 0x200000 });
    limited(rig, 0x10000);
    rig.do('create-device', { device: 'y0', kind: 'vfio-pci' });
    rig.do('open-group', { device: 'y0' });
    rig.do('set-container', { device: 'y0', container: 'c1' });
    open(rig, 'y0');
    expect(rig.map(0, 0x1000, { container: 'c1', vaddr: 0x200000 })).not.toHaveProperty('advisories');
    expect(lockedOf(rig)).toEqual([1, 2]);
  });

  test('pins of memory that another container is charged for by a pin: CHARGED_TWICE', () => {
    const rig = bare();
    limited(rig, 0x10000);
    rig.do('open-container', { container: 'c1' });
    rig.attach('d0', synthetic('ignore'));
    rig.do('create-device', { device: 'd1', driver: synthetic('ignore') });
    rig.do('open-group', { device: 'd1' });
    rig.do('set-container', { device: 'd1', container: 'c1' });
    open(rig, 'd1');
    rig.map(0, 0x4000, { container: 'c1', vaddr: 0x200000 });
    rig.pin(0x1000, 'd1', 2);
    rig.map(0x10000, 0x4000, { vaddr: 0x200000 });
    for (const iova of [0x10000, 0x13000]) expect(rig.pin(iova, 'd0')).not.toHaveProperty('advisories');
    expect(advisoriesOf(rig.pin(0x11000, 'd0'))).toEqual(['CHARGED_TWICE  0x11000 ×1']);
    expect(advisoriesOf(rig.pin(0x12000, 'd0', 2))).toEqual(['CHARGED_TWICE  0x12000 ×1']);
    expect(lockedOf(rig)).toEqual([6, 6]);
  });

  test('an IOMMU without pages of 4 KiB: EINVAL', () => {
    const rig = bare();
    join(rig, 'x0', { iommu: { preset: 'arm-smmu', pageSizes: '0x10000' } });
    expect(rig.errno('open-device', { device: 'x0' })).toBe('EINVAL');
    expect(rig.host.machine.container('c0').view!.mappingCount).toBe(0);
    join(rig, 'x1', { iommu: { preset: 'arm-smmu', pageSizes: '0x11000' } });
    open(rig, 'x1');
  });

  test.each([
    ['both', { coherency: true }, { coherency: true }, 1],
    ['the first alone', { coherency: true }, { coherency: false }, 0],
    ['the second alone', { coherency: false }, { coherency: true }, 0],
  ])('coherency is there where %s IOMMUs have it', (_, first, second, value) => {
    const rig = bare();
    join(rig, 'x0', { iommu: { preset: 'intel-39', ...first } });
    join(rig, 'x1', { iommu: { preset: 'intel-48', ...second } });
    open(rig, 'x0');
    open(rig, 'x1');
    expect(rig.do('check-extension', { extension: 4 }).value).toBe(value);
  });

  test('type 1 may be set again with mappings in a domain, for the first time it may not', () => {
    const rig = bare();
    join(rig, 'x0');
    rig.do('set-iommu', { type: 1 });
    open(rig, 'x0');
    rig.map(0, 0x1000);
    expect(rig.do('set-iommu', { type: 1 })).toEqual({});
    const other = bare();
    join(other, 'x0');
    open(other, 'x0');
    other.map(0, 0x1000);
    expect(other.errno('set-iommu', { type: 1 })).toBe('EINVAL');
    other.unmap(0, 0x1000);
    other.do('set-iommu', { type: 1 });
  });

  test('a mapping of which a page in the middle is pinned: memory that is missing behind it is found', () => {
    const rig = bare();
    join(rig, 'x0');
    rig.attach('d0', synthetic('ignore'));
    rig.do('add-memory-region', { process: 'p0', start: 0x200000, size: 0x2000, prot: 3 });
    rig.map(0x10000, 0x3000, { vaddr: 0x200000 });
    rig.pin(0x11000, 'd0');
    expect(rig.errno('open-device', { device: 'x0' })).toBe('EFAULT');
    rig.do('add-memory-region', { process: 'p0', start: 0x202000, size: 0x1000, prot: 3 });
    open(rig, 'x0');
  });

  test('a device behind an IOMMU has no access to copy with: EINVAL', () => {
    const rig = bare();
    join(rig, 'x0');
    open(rig, 'x0');
    rig.map(0, 0x1000);
    expect(rig.errno('dma-rw', { device: 'x0', iova: 0, write: false, length: 8 })).toBe('EINVAL');
  });
});

describe('groups without an IOMMU', () => {
  function noIommu(): CoreRig {
    const rig = bare();
    rig.do('set-parameters', { enableUnsafeNoiommuMode: true });
    rig.do('create-device', { device: 'n0', kind: 'noiommu' });
    rig.do('open-group', { device: 'n0' });
    return rig;
  }

  test('have a container without an IOAS: it takes type 8 alone, and maps nothing', () => {
    const rig = noIommu();
    rig.do('set-container', { device: 'n0', container: 'c0' });
    expect(rig.do('check-extension', { extension: 8 }).value).toBe(1);
    for (const type of [1, 3]) expect(rig.errno('set-iommu', { type })).toBe('EINVAL');
    rig.do('set-iommu', { type: 8 });
    expect(rig.tryMap(0, 0x1000).body.errno).toBe('ENODEV');
    open(rig, 'n0');
    expect(rig.host.machine.container('c0').view).toBeNull();
    rig.do('close-device', { device: 'n0' });
  });

  test('join none with a group that has one: EPERM, nor one that still has an IOAS: EINVAL', () => {
    const rig = noIommu();
    join(rig, 'x0');
    expect(rig.errno('set-container', { device: 'n0', container: 'c0' })).toBe('EPERM');
    rig.do('unset-container', { device: 'x0' });
    expect(rig.errno('set-container', { device: 'n0', container: 'c0' })).toBe('EINVAL');
    expect(rig.host.machine.device('n0').group.container).toBeNull();
  });

  test('type 8 is for them alone, and none of its extension is there before the parameter is', () => {
    const rig = bare();
    join(rig, 'x0');
    expect(rig.errno('set-iommu', { type: 8 })).toBe('EINVAL');
    expect(rig.do('check-extension', { extension: 8 }).value).toBe(0);
    expect(rig.do('check-extension', { extension: 5 }).value).toBe(0);
  });
});

describe('the context of a container', () => {
  test('stays while a device that was opened through it is open, and goes with the last of its holders', () => {
    const rig = bare();
    join(rig, 'x0');
    open(rig, 'x0');
    rig.map(0, 0x1000);
    const container = rig.host.machine.container('c0');
    rig.do('close-container');
    rig.do('unset-container', { device: 'x0' });
    expect(container.inUse).toBe(true);
    expect(lockedOf(rig)[1]).toBe(1);
    rig.do('close-device', { device: 'x0' });
    expect(lockedOf(rig)[1]).toBe(0);
    expect(container.inUse).toBe(false);
  });

  test('stays while a group is in it whose devices are closed', () => {
    const rig = bare();
    join(rig, 'x0');
    rig.map(0, 0x1000);
    const container = rig.host.machine.container('c0');
    rig.do('close-container');
    expect(container.view?.mappingCount).toBe(1);
    rig.do('unset-container', { device: 'x0' });
    expect(container.view).toBeNull();
  });

  test('a device whose last callback died is closed no more, a second file of it is', () => {
    const rig = new CoreRig(VERSION, { d0: { ...synthetic('ignore'), bugOnInvalidation: true } });
    rig.map(0x10000, 0x1000);
    rig.pin(0x10000);
    open(rig, 'd0');
    expect(rig.unmap(0x10000, 0x1000).body.killed).toBe(true);
    rig.do('close-device', { device: 'd0' });
    expect(rig.reply('close-device', { device: 'd0' }).status).toBe(423);
    expect(rig.host.machine.device('d0').openCount).toBe(1);
    // It may be opened once more.
    open(rig, 'd0');
  });
});

describe('what an unmap says besides', () => {
  test('of a range that was unmapped before: UNMAPPED_NOTHING, just beside it nothing', () => {
    const rig = new CoreRig(VERSION, { d0: synthetic('ignore') });
    rig.map(0x10000, 0x4000);
    rig.map(0x40000, 0x1000);
    rig.unmap(0x10000, 0x4000);
    const kinds = (iova: number, size: number) =>
      advisoriesOf(rig.unmap(iova, size).body).filter((each) => each.startsWith('UNMAPPED_NOTHING'));
    expect(kinds(0x13000, 0x2000)).toEqual(['UNMAPPED_NOTHING  0x13000 ×1']);
    expect(kinds(0x13fff, 1)).toEqual(['UNMAPPED_NOTHING  0x13fff ×1']);
    expect(kinds(0x14000, 0x1000)).toEqual([]);
    expect(kinds(0xf000, 0x1000)).toEqual([]);
    expect(kinds(0xf000, 0x1001)).toEqual(['UNMAPPED_NOTHING  0xf000 ×1']);
  });

  test('beside a device that listens and has pinned nothing: NO_CALLBACK, where that is asked for', () => {
    const rig = new CoreRig(VERSION, { d0: synthetic('ignore') });
    rig.map(0x10000, 0x1000);
    expect(rig.unmap(0x10000, 0x1000).body).not.toHaveProperty('advisories');
    rig.do('set-parameters', { adviseNoCallback: true });
    rig.map(0x10000, 0x1000);
    expect(advisoriesOf(rig.unmap(0x10000, 0x1000).body)).toEqual(['NO_CALLBACK d0 0x10000 ×1']);
  });

  test('of one that failed: neither', () => {
    const rig = new CoreRig(VERSION, { d0: synthetic('ignore') });
    rig.do('set-parameters', { adviseNoCallback: true });
    rig.map(0x10000, 0x2000);
    const { body } = rig.unmap(0x11000, 0x1000);
    expect([body.errno, body.advisories]).toEqual(['ENOENT', undefined]);
  });

  test('one that gives up names the mapping, its size and its pins', () => {
    const rig = new CoreRig(VERSION, { d0: synthetic('unpin-range'), d1: synthetic('ignore') });
    rig.map(0x10000, 0x1000);
    rig.map(0x20000, 0x8000);
    rig.pin(0x10000, 'd0');
    rig.pin(0x21000, 'd1', 2);
    rig.pin(0x24000, 'd1');
    const unmap = rig.start('unmap-dma', { iova: 0, size: 0x100000 });
    expect(unmap.delivered()).toHaveLength(2 + 202);
    expect(unmap.answer!.splats).toMatchObject([
      {
        ...{ iova: '0x20000', size: '0x8000', attempt: 101, device: 'd1', pinCount: 2 },
        pins: [
          { iova: '0x21000', npage: 2, refCount: 1 },
          { iova: '0x24000', refCount: 1 },
        ],
      },
    ]);
    expect(unmap.answer!.splats[0]!.pins![1]).not.toHaveProperty('npage');
  });
});

test('attempts are counted for each mapping, rounds for the whole unmap', () => {
  const rig = new CoreRig(VERSION, { d0: { type: 'manual' } });
  for (const iova of [0x10000, 0x20000]) {
    rig.map(iova, 0x1000);
    rig.pin(iova, 'd0');
  }
  rig.start('unmap-dma', { iova: 0, size: 0x100000 });
  const next = () => {
    const { iova, length, attempt, round } = rig.host.kernel.scheduler.pending[0]!.callback!.invalidation!;
    return [hex(iova), hex(length), attempt, round];
  };
  expect(next()).toEqual(['0x10000', '0x1000', 1, 1]);
  rig.do('complete-callback', { device: 'd0' });
  expect(next()).toEqual(['0x10000', '0x1000', 2, 2]);
  rig.do('unpin-pages', { device: 'd0', iova: 0x10000, npage: 1 });
  rig.do('complete-callback', { device: 'd0' });
  expect(next()).toEqual(['0x20000', '0x1000', 1, 3]);
});

describe('unpins that only warn', () => {
  const rigOf = () => {
    const rig = new CoreRig(VERSION, { d0: synthetic('ignore') });
    rig.map(0x10000, 0x8000);
    rig.pin(0x11000, 'd0', 2);
    return rig;
  };
  const unpin = (rig: CoreRig, iova: number | string, npage: number) => {
    const started = rig.start('unpin-pages', { device: 'd0', iova, npage });
    const { splats, advisories } = started.answer!;
    return {
      splats: splats.map(({ iova: at, size, device }) => [device, at, size]),
      advised: advisories.map(({ kind, text }) => `${kind}: ${text}`),
    };
  };

  test('of no page', () => {
    expect(unpin(rigOf(), 0x11000, 0)).toEqual({
      splats: [['d0', '0x11000', undefined]],
      advised: [expect.stringMatching(/^UNPIN_REFUSED.*npage is 0; d0 holds 0x11000 \(2 pages\)/)],
    });
  });

  test('beyond 2^64', () => {
    expect(unpin(rigOf(), '0xfffffffffffff000', 2)).toEqual({
      splats: [['d0', '0xfffffffffffff000', undefined]],
      advised: [expect.stringMatching(/^UNPIN_REFUSED.*2 pages are beyond 2\^64; d0 holds/)],
    });
  });

  test('of pages in no mapping, from the first of them on', () => {
    expect(unpin(rigOf(), 0x17000, 3).splats).toEqual([
      ['d0', '0x17000', '0x1000'],
      ['d0', '0x18000', '0x2000'],
    ]);
    expect(unpin(rigOf(), 0x18000, 2)).toEqual({
      splats: [['d0', '0x18000', '0x2000']],
      advised: [
        expect.stringMatching(/0x18000 \(2 pages\), which is in no mapping; d0 holds 0x11000 \(2 pages\)$/),
      ],
    });
  });

  test('of pages that are pinned otherwise', () => {
    const rig = rigOf();
    expect(unpin(rig, 0x11000, 1)).toEqual({
      splats: [['d0', '0x11000', '0x1000']],
      advised: [expect.stringMatching(/unpinned 1 page at 0x11000, pinned as 2 pages at 0x11000/)],
    });
    expect(unpin(rig, 0x10000, 3).splats).toEqual([['d0', '0x10000', '0x3000']]);
    expect(rig.pins()).toEqual([['0x11000', 1]]);
  });

  test('of pages that are not pinned', () => {
    expect(unpin(rigOf(), 0x14000, 2)).toEqual({
      splats: [['d0', '0x14000', '0x2000']],
      advised: [
        expect.stringMatching(/0x14000 \(2 pages\), which is not pinned; d0 holds 0x11000 \(2 pages\)$/),
      ],
    });
  });
});

test('a device that is closed with pins: how many references it held', () => {
  const rig = new CoreRig(VERSION, { d0: synthetic('ignore'), d1: synthetic('ignore') });
  rig.map(0x10000, 0x8000);
  rig.pin(0x10000, 'd1', 4);
  for (const iova of [0x12000, 0x12000, 0x13000]) rig.pin(iova, 'd0');
  expect(rig.do('close-device', { device: 'd0' }).advisories).toMatchObject([
    { kind: 'PIN_LEAKED_AT_CLOSE', iova: '0x12000', text: expect.stringContaining('holding 3 references') },
  ]);
});

test('a pin that fails in the third mapping gives back what it had of the first two', () => {
  const rig = new CoreRig(VERSION, { d0: synthetic('ignore') });
  for (const iova of [0x10000, 0x12000]) rig.map(iova, 0x2000);
  rig.map(0x14000, 0x2000, { flags: ['write'] });
  rig.pin(0x10000, 'd0', 2);
  expect(rig.errno('pin-pages', { device: 'd0', iova: 0x10000, npage: 5, prot: 1 })).toBe('EPERM');
  expect(rig.pins()).toEqual([['0x10000', 1]]);
  expect(lockedOf(rig)).toEqual([0, 2]);
  expect(logOf(rig.do('unpin-pages', { device: 'd0', iova: 0x10000, npage: 2 }))).toEqual([]);
});
