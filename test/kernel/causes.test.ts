import { describe, expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { CoreRig, rigAfter } from '../harness/core-rig.ts';
import { CONTAINER, device, map, opened, pin, unmap, V2 } from '../refusals/refusals.ts';

const WRAPPING = ['5.10', '6.1', '6.12'];
const TYPE1 = [...WRAPPING, '7.2'];
const ALL = [...TYPE1, '6.12-iommufd'];

/** The words of an answer: the detail of a problem, and each advisory as `KIND iova: text`. */
interface Words {
  readonly detail: string;
  readonly advisories: readonly string[];
  readonly size: unknown;
}

function say(rig: CoreRig, call: CallObject): Words {
  const { body } = rig.ask(call);
  const advisories = (body.advisories ?? []) as { kind: string; iova: string; text: string }[];
  return {
    detail: String(body.detail ?? 'ok'),
    advisories: advisories.map(({ kind, iova, text }) => `${kind} ${iova}: ${text}`),
    size: body.size,
  };
}

/** Process `qemu` with 16 MiB of memory and a limit of 20 MiB; two containers of it, each with a device behind the IOMMU. */
const QEMU: CallObject[] = [
  { call: 'create-process', process: 'qemu' },
  { call: 'add-memory-region', process: 'qemu', start: '0x7f0000000000', size: '0x1000000', prot: 3 },
  { call: 'set-memlock', process: 'qemu', bytes: 20 * 2 ** 20 },
  ...['0', '1'].flatMap((n) => [
    { call: 'open-container', container: `c${n}`, process: 'qemu' },
    ...device(`gpu${n}`, null),
    { call: 'set-container', device: `gpu${n}`, container: `c${n}` },
    { call: 'set-iommu', container: `c${n}`, type: 3 },
    { call: 'open-device', device: `gpu${n}` },
  ]),
];
const ram = (container: string, iova: number, size: number) => ({
  ...map(iova, size),
  container,
  vaddr: '0x7f0000000000',
});

describe.for(ALL)('RLIMIT_MEMLOCK on %s', (version) => {
  test('a map beyond it says limit, locked, asked, and which containers and mappings hold how much', () => {
    const rig = rigAfter(version, [...QEMU, ram('c0', 0, 0x1000000)]);
    const { detail } = say(rig, ram('c1', 0, 0x1000000));
    expect(detail).toBe(
      'map-dma: RLIMIT_MEMLOCK of process qemu is 20971520 bytes (5120 pages), 4096 locked already, and 4096 more ' +
        'asked for: c0 holds 4096 (0x0+0x1000000: 4096)',
    );
  });

  test('a pin beyond it says the same, with the pages that pins have locked', () => {
    const calls = [
      { call: 'create-process', process: 'qemu' },
      { call: 'set-memlock', process: 'qemu', bytes: 0x2000 },
      { call: 'open-container', container: 'c0', process: 'qemu' },
      ...opened('d0', 3),
      map(0x10000, 0x4000),
      pin(0x11000, 2),
    ];
    expect(say(rigAfter(version, calls), pin(0x13000)).detail).toBe(
      'pin-pages: RLIMIT_MEMLOCK of process qemu is 8192 bytes (2 pages), 2 locked already, and 1 more asked for: ' +
        'c0 holds 2 (0x10000+0x4000: 2)',
    );
  });

  test('CHARGED_TWICE when a second container charges the same memory', () => {
    const rig = rigAfter(version, [...QEMU, ram('c0', 0, 0x100000)]);
    expect(say(rig, ram('c1', 0x200000, 0x1000)).advisories).toEqual([
      'CHARGED_TWICE 0x200000: memory of vaddr 0x7f0000000000+0x1000 is charged in c1 now, and in c0 for 0x0+0x100000',
    ]);
  });

  test('CHARGED_TWICE when drivers pin the same memory in two containers', () => {
    const calls: CallObject[] = [
      { call: 'create-process', process: 'qemu' },
      { call: 'set-memlock', process: 'qemu', bytes: 0x10000 },
      ...['0', '1'].flatMap((n) => [
        { call: 'open-container', container: `c${n}`, process: 'qemu' },
        ...device(`d${n}`),
        { call: 'set-container', device: `d${n}`, container: `c${n}` },
        { call: 'set-iommu', container: `c${n}`, type: 3 },
        { call: 'open-device', device: `d${n}` },
        { ...map(0x10000, 0x4000), container: `c${n}` },
      ]),
      pin(0x11000, 2),
    ];
    const rig = rigAfter(version, calls);
    expect(say(rig, pin(0x10000, 1, 'd1')).advisories).toEqual([]);
    expect(say(rig, pin(0x12000, 1, 'd1')).advisories).toEqual([
      'CHARGED_TWICE 0x12000: memory of vaddr 0x212000+0x1000 is charged in c1 now, and in c0 for 0x10000+0x4000',
    ]);
  });

  test('no CHARGED_TWICE for other memory, or the same in one container', () => {
    const rig = rigAfter(version, [...QEMU, ram('c0', 0, 0x100000)]);
    const other = { ...ram('c1', 0, 0x1000), vaddr: '0x7f0000100000' };
    expect(say(rig, other).advisories).toEqual([]);
    expect(say(rig, ram('c0', 0x200000, 0x1000)).advisories).toEqual([]);
  });
});

describe('an unmap that removed nothing', () => {
  test.for(TYPE1)('on %s with type1: UNMAPPED_NOTHING names the mapping that overlaps', (version) => {
    const rig = rigAfter(version, [...CONTAINER, ...opened('d0', 1, null), map(0x200000, 0x400000)]);
    const words = say(rig, unmap(0x300000, 0x1000));
    expect(words).toMatchObject({ detail: 'ok', size: '0x0' });
    expect(words.advisories).toEqual([
      'UNMAPPED_NOTHING 0x300000: nothing was unmapped from 0x300000 on: the mapping 0x200000+0x400000 begins before ' +
        'the range, and type1 lets it be',
    ]);
  });

  test.for(TYPE1)('on %s with type1v2: the refusal names the mapping that is bisected', (version) => {
    const rig = rigAfter(version, [...V2, map(0x10000, 0x4000)]);
    expect(say(rig, unmap(0x12000, 0x1000)).detail).toContain(
      'bisects the mapping 0x10000+0x4000, which begins before 0x12000',
    );
    expect(say(rig, unmap(0x10000, 0x1000)).detail).toContain(
      'bisects the mapping 0x10000+0x4000, which ends after 0x11000',
    );
  });

  test.for(ALL)('on %s: UNMAPPED_NOTHING says which call had removed the mapping', (version) => {
    const rig = rigAfter(version, [...V2, map(0x10000, 0x4000), unmap(0x10000, 0x4000)]);
    const by = V2.length + 2;
    expect(say(rig, unmap(0x10000, 0x4000)).advisories).toEqual([
      `UNMAPPED_NOTHING 0x10000: nothing was unmapped from 0x10000 on: nothing is mapped there: 0x10000+0x4000 was ` +
        `removed by unmap-dma (call ${by})`,
    ]);
    expect(say(rig, pin(0x11000)).detail).toContain(`0x10000+0x4000 was removed by unmap-dma (call ${by})`);
  });

  test.for(ALL)('on %s: nothing is said where nothing ever was, or something was removed', (version) => {
    const rig = rigAfter(version, [...V2, map(0x10000, 0x4000)]);
    expect(say(rig, unmap(0x20000, 0x4000)).advisories).toEqual([]);
    expect(say(rig, unmap(0x10000, 0x4000)).advisories).toEqual([]);
  });

  test('what a snapshot restores is told as well', () => {
    const rig = rigAfter('6.1', [...V2, map(0x10000, 0x4000), unmap(0x10000, 0x4000)]);
    const restored = new CoreRig('6.1');
    restored.host.restore(rig.host.snapshot(true), 'snapshot');
    expect(say(restored, unmap(0x10000, 0x4000))).toEqual(say(rig, unmap(0x10000, 0x4000)));
  });
});

describe.for(TYPE1)('the last group leaves on %s', (version) => {
  const LEAVE: CallObject[] = [
    { call: 'close-device', device: 'd0' },
    { call: 'unset-container', device: 'd0' },
  ];
  const PCI = [...CONTAINER, ...opened('d0', 3, null), map(0x10000, 0x4000), map(0x20000, 0x1000)];

  test('IOMMU_LOST has the number of mappings that went along', () => {
    const rig = rigAfter(version, [...PCI, LEAVE[0]!]);
    expect(say(rig, LEAVE[1]!).advisories).toEqual([
      'IOMMU_LOST 0x10000: d0 was the last in container c0, which loses its IOMMU and with it 2 mappings, the first ' +
        '0x10000+0x4000',
    ]);
  });

  test('no IOMMU_LOST without a mapping, or while another group stays', () => {
    const rig = rigAfter(version, [...CONTAINER, ...opened('d0', 3, null), LEAVE[0]!]);
    expect(say(rig, LEAVE[1]!).advisories).toEqual([]);
    const two = rigAfter(version, [...PCI, ...opened('d1', null), LEAVE[0]!]);
    expect(say(two, LEAVE[1]!).advisories).toEqual([]);
  });

  test('later refusals say when the IOMMU went, and with which call', () => {
    const rig = rigAfter(version, [...PCI, ...LEAVE]);
    const lost = `lost its IOMMU when d0 left (call ${PCI.length + 2}), with its 2 mappings`;
    expect(say(rig, unmap(0x10000, 0x4000)).detail).toContain(lost);
    expect(say(rig, map(0x10000, 0x4000)).detail).toContain(lost);
    expect(say(rig, { call: 'iommu-info', container: 'c0' }).detail).toContain(lost);
    expect(say(rig, { call: 'set-iommu', container: 'c0', type: 3 }).detail).toContain(lost);
    say(rig, { call: 'set-container', device: 'd0', container: 'c0' });
    expect(say(rig, { call: 'open-device', device: 'd0' }).detail).toContain(lost);
  });

  test('an unmap after a new set-iommu says which call took the mapping', () => {
    const again: CallObject[] = [
      { call: 'set-container', device: 'd0', container: 'c0' },
      { call: 'set-iommu', container: 'c0', type: 3 },
    ];
    const rig = rigAfter(version, [...PCI, ...LEAVE, ...again]);
    expect(say(rig, unmap(0x10000, 0x4000)).advisories[0]).toContain(
      `0x10000+0x4000 was removed by unset-container of d0 (call ${PCI.length + 2})`,
    );
  });

  test('a container that never had one says so', () => {
    const rig = rigAfter(version, [...CONTAINER, ...device('d0', null)]);
    expect(say(rig, map(0, 0x1000)).detail).toContain('no group that could bring one');
    say(rig, { call: 'set-container', device: 'd0', container: 'c0' });
    expect(say(rig, map(0, 0x1000)).detail).toContain('set-iommu was not called');
  });
});

describe.for(ALL)('an IOVA that is not usable on %s', (version) => {
  const RANGES = 'the IOVA ranges are [0x0, 0xfedfffff] [0xfef00000, 0x7fffffffff]';

  test('beyond the width: the refusal says the width and the ranges', () => {
    const rig = rigAfter(version, [...CONTAINER, ...opened('d0', 3, null)]);
    const words = say(rig, map(0x382000000000, 0x1000));
    expect(words.detail).toBe(
      'map-dma: 0x382000000000+0x1000 reaches beyond 0x7fffffffff, the last address of the IOMMU (39 bits); ' +
        RANGES,
    );
  });

  test('in a reserved region: the refusal says which and the ranges', () => {
    const rig = rigAfter(version, [...CONTAINER, ...opened('d0', 3, null)]);
    expect(say(rig, map(0xfed00000, 0x200000)).detail).toBe(
      `map-dma: 0xfed00000+0x200000 reaches into the reserved region 0xfee00000-0xfeefffff (msi); ${RANGES}`,
    );
  });
});

describe.for(TYPE1)('EBUSY on %s says who holds it', (version) => {
  test('unset-container while a device is open', () => {
    const rig = rigAfter(version, [...V2, { call: 'open-device', device: 'd0' }]);
    expect(say(rig, { call: 'unset-container', device: 'd0' }).detail).toContain('d0 (2 files) is open');
  });

  test('open-group while the file is open, and when it was closed but a device is open', () => {
    const rig = rigAfter(version, V2);
    const open = { call: 'open-group', device: 'd0' };
    expect(say(rig, open).detail).toContain('is open');
    say(rig, { call: 'close-group', device: 'd0' });
    expect(say(rig, open).detail).toContain('was closed, but d0, opened through it, still holds it');
  });

  test('a group that joins while a vaddr is invalid names the mapping', () => {
    if (version === '5.10') return;
    const pci = [...CONTAINER, ...opened('d0', 3, null), map(0x10000, 0x4000), ...device('d1')];
    const rig = rigAfter(version, [...pci, unmap(0x10000, 0x4000, 4)]);
    const join = { call: 'set-container', device: 'd1', container: 'c0' };
    expect(say(rig, join).detail).toContain('the vaddr of 0x10000+0x4000 is invalid');
  });
});

describe('a WARN about an unpin names what the driver holds nearby', () => {
  const GVT = [...V2, map(0x162459000, 0x3000), pin(0x162459000)];
  const unpin = (iova: number, npage = 1) => ({ call: 'unpin-pages', device: 'd0', iova, npage });

  test.for(['6.1', '6.12', '7.2', '6.12-iommufd'])('on %s: in no mapping', (version) => {
    const { advisories } = say(rigAfter(version, GVT), unpin(0x162459000000));
    expect(advisories).toEqual([
      'UNPIN_NOT_PINNED 0x162459000000: d0 unpinned 0x162459000000, which is in no mapping; d0 holds 0x162459000',
    ]);
  });

  test('on 5.10, where unpin has an answer: the refusal does', () => {
    const { detail } = say(rigAfter('5.10', GVT), unpin(0x162459000000));
    expect(detail).toBe('unpin-pages: there is no mapping at iova 0x162459000000; d0 holds 0x162459000');
  });

  test.for(['6.1', '6.12', '7.2'])('on %s: a count that is refused', (version) => {
    const { advisories } = say(rigAfter(version, GVT), unpin(0x162459000, 513));
    expect(advisories).toEqual([
      'UNPIN_REFUSED 0x162459000: d0 unpinned from 0x162459000, which does nothing: npage 513 is not from 1 to 512; ' +
        'd0 holds 0x162459000',
    ]);
  });

  test('nothing is named where the driver holds nothing', () => {
    const { advisories } = say(rigAfter('6.1', [...V2, map(0x10000, 0x1000)]), unpin(0x20000));
    expect(advisories).toEqual(['UNPIN_NOT_PINNED 0x20000: d0 unpinned 0x20000, which is in no mapping']);
  });
});

describe.for(ALL)('NO_CALLBACK on %s', (version) => {
  const ASKED: CallObject[] = [...V2, { call: 'set-parameters', adviseNoCallback: true }];

  test('an unmap beside an open device that listens, with no page pinned', () => {
    const rig = rigAfter(version, [...ASKED, map(0x10000, 0x4000)]);
    expect(say(rig, unmap(0x10000, 0x4000)).advisories[0]).toMatch(
      /^NO_CALLBACK 0x10000: no callback was made/,
    );
  });

  test('not where one was called, where nobody listens, or unless it is asked for', () => {
    const called = rigAfter(version, [...ASKED, map(0x10000, 0x4000), pin(0x11000)]);
    expect(say(called, unmap(0x10000, 0x4000)).advisories).toEqual([]);
    const deaf = [...CONTAINER, ...opened('d0', 3, 'no-callback'), ASKED.at(-1)!, map(0x10000, 0x4000)];
    expect(say(rigAfter(version, deaf), unmap(0x10000, 0x4000)).advisories).toEqual([]);
    const unasked = rigAfter(version, [...V2, map(0x10000, 0x4000)]);
    expect(say(unasked, unmap(0x10000, 0x4000)).advisories).toEqual([]);
  });
});

describe.for(WRAPPING)('a range that ends at 2^64 on %s', (version) => {
  const upper = {
    call: 'unmap-dma',
    container: 'c0',
    iova: '0x8000000000000000',
    size: '0x8000000000000000',
  };
  const mapAt = (iova: string) => ({ ...map(0, 0x1000), iova });

  test('the upper half of an unmap in two names the mapping that it leaves', () => {
    const rig = rigAfter(version, [...V2, mapAt('0x9000000000000000'), mapAt('0xa000000000000000')]);
    const words = say(rig, upper);
    expect(words.size).toBe('0x0');
    expect(words.advisories).toHaveLength(1);
    expect(words.advisories[0]).toMatch(/^KERNEL_BUG:top-of-address-space 0x9000000000000000: /);
    expect(words.advisories[0]).toContain('0x9000000000000000+0x1000 is still there');
  });

  test('nothing is said where nothing is mapped there', () => {
    const rig = rigAfter(version, [...V2, map(0x10000, 0x1000)]);
    expect(say(rig, upper).advisories).toEqual([]);
  });

  test('a mapping that is left for another reason is not named', () => {
    // type1 ends an unmap at the mapping that begins before its range; what lies behind stays, and can be found.
    const V1: CallObject[] = [...CONTAINER, ...opened('d0', 1)];
    const rig = rigAfter(version, [...V1, map(0x10000, 0x4000), map(0x14000, 0x1000)]);
    say(rig, mapAt('0xfffffffffffff000'));
    const { advisories } = say(rig, unmap(0x12000, 0x3000));
    expect(advisories.filter((text) => text.startsWith('KERNEL_BUG'))).toEqual([]);
  });

  test('a group that joins is told of the mapping that is not entered', () => {
    const rig = rigAfter(version, [...V2, ...device('d1', null), mapAt('0xfffffffffffff000')]);
    const words = say(rig, { call: 'set-container', device: 'd1', container: 'c0' });
    expect(words.advisories[0]).toMatch(/^KERNEL_BUG:top-of-address-space 0xfffffffffffff000: /);
  });
});
