import type { CallObject } from '../../schemas/calls.ts';
import {
  CLOSED,
  CONTAINER,
  device,
  FULL_TABLE,
  MAPPED,
  map,
  memlock,
  opened,
  PCI,
  pin,
  type Refusal,
  refusal,
  region,
  START,
  unmap,
  V1,
  V2,
  WEDGED,
} from './refusals.ts';

const C0 = { container: 'c0' };
const PAGE = 0x1000;
const TRACKED = [...MAPPED, START];
/** Without an IOMMU driver: no group, or a group and no SET_IOMMU. */
const NO_GROUP = CONTAINER;
const NO_IOMMU: CallObject[] = [
  ...CONTAINER,
  ...device('d0'),
  { call: 'set-container', device: 'd0', container: 'c0' },
];
const TWO = [...V2, map(0x10000, 0x2000), map(0x20000, 0x2000)];
const HUGE = { iova: 0, vaddr: 0, size: 2 ** 43, flags: 3 };

function mapping(
  iova: number | string,
  size: number | string,
  flags: unknown = 3,
  vaddr: unknown = 0x200000,
) {
  return { ...C0, iova, vaddr, size, flags };
}
function range(iova: number | string, size: number | string, more: object = {}) {
  return { ...C0, iova, size, ...more };
}
function dirty(iova: number | string, size: number | string, pageSize: number = PAGE) {
  return { ...C0, iova, size, pageSize };
}

const LIFE: Refusal[] = [
  refusal('open-container', 'the id is taken', CONTAINER, C0, 'EEXIST'),
  refusal('open-container', 'no such process', [], { process: 'p9' }, 404),
  refusal('open-container', 'more than the process may open', FULL_TABLE, {}, 'EMFILE'),
  refusal('open-container', 'more than the host holds', [...CONTAINER, { call: 'open-container' }], {}, 429),
  refusal('open-container', 'an unknown field', [], { group: 'g0' }, 400),

  refusal('close-container', 'closed already', CLOSED, C0, 'EBADF'),
  refusal('close-container', 'no such container', [], C0, 404),
  refusal('close-container', 'the lock is held for ever', WEDGED, C0, 'wedged'),

  refusal('set-iommu', 'the container is closed', CLOSED, { ...C0, type: 3 }, 'EBADF'),
  refusal('set-iommu', 'no group attached', NO_GROUP, { ...C0, type: 3 }, 'EINVAL'),
  refusal('set-iommu', 'set already', V2, { ...C0, type: 3 }, 'EINVAL'),
  refusal('set-iommu', 'type 9', NO_IOMMU, { ...C0, type: 9 }, 'EINVAL'),
  refusal('set-iommu', 'a type nobody claims', NO_IOMMU, { ...C0, type: 42 }, 'ENODEV'),
  refusal(
    'set-iommu',
    'nesting with a device behind the IOMMU',
    [
      ...CONTAINER,
      ...device('d0', null),
      { call: 'set-container', device: 'd0', container: 'c0' },
      ...device('d1'),
      { call: 'set-container', device: 'd1', container: 'c0' },
    ],
    { ...C0, type: 6 },
    'EINVAL',
  ),
  refusal('set-iommu', 'no such container', [], { ...C0, type: 3 }, 404),
  refusal('set-iommu', 'a type by an unknown name', NO_IOMMU, { ...C0, type: 'type2' }, 400),

  refusal('check-extension', 'the container is closed', CLOSED, { ...C0, extension: 1 }, 'EBADF'),
  refusal('check-extension', 'the lock is held for ever', WEDGED, { ...C0, extension: 10 }, 'wedged'),
  refusal('check-extension', 'no such container', [], { ...C0, extension: 1 }, 404),
  refusal('check-extension', 'not a number', CONTAINER, { ...C0, extension: '1' }, 400),

  refusal('iommu-info', 'the container is closed', CLOSED, C0, 'EBADF'),
  refusal('iommu-info', 'no IOMMU driver', NO_IOMMU, C0, 'EINVAL'),
  refusal('iommu-info', 'the lock is held for ever', WEDGED, C0, 'wedged'),
  refusal('iommu-info', 'no such container', [], C0, 404),
  refusal('iommu-info', 'an unknown field', V2, { ...C0, argsz: 16 }, 400),
];

const MAP: Refusal[] = [
  refusal('map-dma', 'the container is closed', CLOSED, mapping(0, PAGE), 'EBADF'),
  refusal('map-dma', 'no IOMMU driver', NO_IOMMU, mapping(0, PAGE), 'EINVAL'),
  refusal('map-dma', 'flags 0', V2, mapping(0, PAGE, 0), 'EINVAL'),
  refusal('map-dma', 'vaddr with read', V2, mapping(0, PAGE, ['vaddr', 'read']), 'EINVAL'),
  refusal('map-dma', 'an unknown flag', V2, mapping(0, PAGE, 8), 'EINVAL'),
  refusal('map-dma', 'size 0', V2, mapping(0, 0), 'EINVAL'),
  refusal('map-dma', 'misaligned size', V2, mapping(0, 0x1800), 'EINVAL'),
  refusal('map-dma', 'misaligned iova', V2, mapping(8, PAGE), 'EINVAL'),
  refusal('map-dma', 'misaligned vaddr', V2, mapping(0, PAGE, 3, 8), 'EINVAL'),
  refusal('map-dma', 'iova beyond 2^64', V2, mapping('0xfffffffffffff000', 0x2000), 'EINVAL'),
  refusal('map-dma', 'vaddr beyond 2^64', V2, mapping(0, 0x2000, 3, '0xfffffffffffff000'), 'EINVAL'),
  refusal('map-dma', 'overlaps another', MAPPED, mapping(0x12000, 0x2000), 'EEXIST'),
  refusal(
    'map-dma',
    'more than dma_entry_limit',
    [{ call: 'set-parameters', dmaEntryLimit: 1 }, ...MAPPED],
    mapping(0, PAGE),
    'ENOSPC',
  ),
  refusal('map-dma', 'vaddr without a mapping', MAPPED, mapping(0, PAGE, 4), 'ENOENT'),
  refusal('map-dma', 'vaddr of a valid mapping', MAPPED, mapping(0x10000, 0x3000, 4), 'EINVAL'),
  refusal(
    'map-dma',
    'vaddr of another size',
    [...PCI, map(0, 0x2000), unmap(0, 0x2000, 4)],
    mapping(0, PAGE, 4),
    'EINVAL',
  ),
  refusal('map-dma', 'a reserved region of the IOMMU', PCI, mapping(0xfee00000, PAGE), 'EINVAL'),
  refusal('map-dma', 'no memory there', [...PCI, region(0x200000, PAGE)], mapping(0, 0x2000), 'EFAULT'),
  refusal('map-dma', 'beyond the memory limit', [...PCI, memlock(PAGE)], mapping(0, 0x2000), 'ENOMEM', [
    'PR_WARN',
  ]),
  refusal('map-dma', 'too large for a dirty bitmap', TRACKED, { ...C0, ...HUGE, iova: 0x10000000 }, 'EINVAL'),
  refusal('map-dma', 'dirty bitmaps take too much', TRACKED, mapping(0x10000000, 0x8000000), 'ENOMEM'),
  refusal('map-dma', 'the lock is held for ever', WEDGED, mapping(0, PAGE), 'wedged'),
  refusal('map-dma', 'no such container', [], mapping(0, PAGE), 404),
  refusal('map-dma', 'an address of 65 bits', V2, mapping('0x10000000000000000', PAGE), 400),
];

const UNMAP: Refusal[] = [
  refusal('unmap-dma', 'the container is closed', CLOSED, range(0, PAGE), 'EBADF'),
  refusal('unmap-dma', 'no IOMMU driver', NO_IOMMU, range(0, PAGE), 'EINVAL'),
  refusal('unmap-dma', 'an unknown flag', MAPPED, range(0x10000, 0x3000, { flags: 8 }), 'EINVAL'),
  refusal('unmap-dma', 'the bitmap of all', TRACKED, range(0, 0, { flags: 3, pageSize: PAGE }), 'EINVAL'),
  refusal('unmap-dma', 'no room for a bitmap', TRACKED, range(0x10000, 0x3000, { flags: 1 }), 'EINVAL'),
  refusal(
    'unmap-dma',
    'a bitmap of page size 0',
    TRACKED,
    range(0x10000, 0x3000, { flags: 1, pageSize: 0 }),
    'EINVAL',
  ),
  refusal(
    'unmap-dma',
    'a bitmap of another page size',
    TRACKED,
    range(0x10000, 0x3000, { flags: 1, pageSize: 0x2000 }),
    'EINVAL',
  ),
  refusal(
    'unmap-dma',
    'the bitmap without dirty tracking',
    MAPPED,
    range(0x10000, 0x3000, { flags: 1, pageSize: PAGE }),
    'EINVAL',
  ),
  refusal('unmap-dma', 'misaligned iova', MAPPED, range(0x10008, 0x3000), 'EINVAL'),
  refusal('unmap-dma', 'misaligned size', MAPPED, range(0x10000, 0x3008), 'EINVAL'),
  refusal('unmap-dma', 'size 0', MAPPED, range(0x10000, 0), 'EINVAL'),
  refusal('unmap-dma', 'beyond 2^64', MAPPED, range('0xfffffffffffff000', 0x2000), 'EINVAL'),
  refusal('unmap-dma', 'all with a size', MAPPED, range(0, PAGE, { flags: ['all'] }), 'EINVAL'),
  refusal('unmap-dma', 'bisects a mapping at its start', TWO, range(0x11000, 0x11000), 'EINVAL'),
  refusal('unmap-dma', 'bisects a mapping at its end', TWO, range(0x10000, 0x11000), 'EINVAL'),
  refusal('unmap-dma', 'vaddr with an mdev', MAPPED, range(0x10000, 0x3000, { flags: 4 }), 'EBUSY'),
  refusal(
    'unmap-dma',
    'vaddr of a valid mapping and an invalid one',
    [...PCI, map(0, PAGE), map(0x2000, PAGE), unmap(0x2000, PAGE, 4)],
    range(0, 0x3000, { flags: 4 }),
    'EINVAL',
  ),
  refusal('unmap-dma', 'the lock is held for ever', WEDGED, range(0x10000, 0x3000), 'wedged'),
  refusal(
    'unmap-dma',
    'bitmapSize is too small for the pages',
    TRACKED,
    range(0, 0x41000, { flags: 1, pageSize: PAGE, bitmapSize: 8 }),
    'EINVAL',
  ),
  refusal('unmap-dma', 'no such container', [], range(0, PAGE), 404),
  refusal('unmap-dma', 'size missing', MAPPED, { ...C0, iova: 0 }, 400),
];

const DIRTY: Refusal[] = [
  refusal('dirty-start', 'the container is closed', CLOSED, C0, 'EBADF'),
  refusal('dirty-start', 'no IOMMU driver', NO_IOMMU, C0, 'EINVAL'),
  refusal('dirty-start', 'type1', V1, C0, 'EACCES'),
  refusal(
    'dirty-start',
    'a mapping too large, after another one',
    [...MAPPED, map(0x10000000, HUGE.size)],
    C0,
    'EINVAL',
  ),
  refusal(
    'dirty-start',
    'dirty bitmaps take too much',
    [...MAPPED, pin(0x10000), map(0x10000000, 0x8000000)],
    C0,
    'ENOMEM',
  ),
  refusal('dirty-start', 'the lock is held for ever', WEDGED, C0, 'wedged'),
  refusal('dirty-start', 'no such container', [], C0, 404),

  refusal('dirty-stop', 'the container is closed', CLOSED, C0, 'EBADF'),
  refusal('dirty-stop', 'no IOMMU driver', NO_IOMMU, C0, 'EINVAL'),
  refusal('dirty-stop', 'type1', V1, C0, 'EACCES'),
  refusal('dirty-stop', 'the lock is held for ever', WEDGED, C0, 'wedged'),
  refusal('dirty-stop', 'no such container', [], C0, 404),

  refusal('dirty-get', 'the container is closed', CLOSED, dirty(0, PAGE), 'EBADF'),
  refusal('dirty-get', 'no IOMMU driver', NO_IOMMU, dirty(0, PAGE), 'EINVAL'),
  refusal('dirty-get', 'type1', V1, dirty(0, PAGE), 'EACCES'),
  refusal('dirty-get', 'tracking is off', MAPPED, dirty(0x10000, 0x3000), 'EINVAL'),
  refusal('dirty-get', 'up to 2^64', TRACKED, dirty('0xfffffffffffff000', PAGE), 'EINVAL'),
  refusal('dirty-get', 'another page size', TRACKED, dirty(0x10000, 0x4000, 0x2000), 'EINVAL'),
  refusal('dirty-get', 'misaligned iova', TRACKED, dirty(0x10008, 0x3000), 'EINVAL'),
  refusal('dirty-get', 'size 0', TRACKED, dirty(0x10000, 0), 'EINVAL'),
  refusal('dirty-get', 'bisects a mapping', [...TRACKED, pin(0x10000)], dirty(0x10000, PAGE), 'EINVAL'),
  refusal('dirty-get', 'the lock is held for ever', WEDGED, dirty(0x10000, 0x3000), 'wedged'),
  refusal(
    'dirty-get',
    'bitmapSize is too small for the pages',
    TRACKED,
    { ...dirty(0, 0x41000), bitmapSize: 8 },
    'EINVAL',
  ),
  refusal('dirty-get', 'bitmapSize is 0', TRACKED, { ...dirty(0, PAGE), bitmapSize: 0 }, 'EINVAL'),
  refusal(
    'dirty-get',
    'bitmapSize is above 2^28',
    TRACKED,
    { ...dirty(0, PAGE), bitmapSize: 2 ** 28 + 8 },
    'EINVAL',
  ),
  refusal('dirty-get', 'no such container', [], dirty(0, PAGE), 404),
  refusal('dirty-get', 'page size missing', TRACKED, range(0, PAGE), 400),

  refusal('dirty-flags', 'the container is closed', CLOSED, { ...C0, flags: 1 }, 'EBADF'),
  refusal('dirty-flags', 'type1', V1, { ...C0, flags: 3 }, 'EACCES'),
  refusal('dirty-flags', 'no flag', V2, { ...C0, flags: 0 }, 'EINVAL'),
  refusal('dirty-flags', 'two flags', V2, { ...C0, flags: 3 }, 'EINVAL'),
  refusal('dirty-flags', 'get without a range', TRACKED, { ...C0, flags: 4 }, 'EINVAL'),
  refusal('dirty-flags', 'an unknown flag', V2, { ...C0, flags: 8 }, 'EINVAL'),
  refusal(
    'dirty-flags',
    'start, dirty bitmaps take too much',
    [...V2, map(0, 0x8000000)],
    { ...C0, flags: 1 },
    'ENOMEM',
  ),
  refusal('dirty-flags', 'the lock is held for ever', WEDGED, { ...C0, flags: 1 }, 'wedged'),
  refusal('dirty-flags', 'no such container', [], { ...C0, flags: 1 }, 404),
];

/** A container that has a mapping which the IOMMU's reserved region, or its aperture, does not allow. */
const OUTSIDE = (iova: number) => [...V2, map(iova, PAGE), ...device('d1', null)];
const JOIN = { device: 'd1', container: 'c0' };

/** Refusals of set-container that the container's state decides. */
const ATTACH: Refusal[] = [
  refusal(
    'set-container',
    'a vaddr is invalid',
    [...PCI, map(0, PAGE), unmap(0, PAGE, 4), ...device('d1')],
    JOIN,
    'EBUSY',
  ),
  refusal('set-container', 'a mapping in a reserved region', OUTSIDE(0xfee00000), JOIN, 'EINVAL'),
  refusal(
    'set-container',
    'nesting, for a device behind the IOMMU',
    [...CONTAINER, ...opened('d0', 6), ...device('d1', null)],
    JOIN,
    'EINVAL',
  ),
  refusal(
    'set-container',
    'a mapping without memory, after one with',
    [...MAPPED, map(0x20000, PAGE, 3, 0x900000), region(0x210000, 0x3000), ...device('d1', null)],
    JOIN,
    'EFAULT',
  ),
  refusal(
    'set-container',
    'mappings beyond the memory limit',
    [...V2, memlock(0x4000), map(0x10000, 0x3000), map(0x20000, 0x3000), ...device('d1', null)],
    JOIN,
    'ENOMEM',
    ['PR_WARN'],
  ),
];

/** Refusals of calls on containers, and of joining one. */
const CONVENIENCES: Refusal[] = [
  refusal('attach', 'no such device', CONTAINER, { ...C0, device: 'none' }, 404),
  refusal(
    'attach',
    'no such container',
    [...CONTAINER, ...device('d0')],
    { container: 'none', device: 'd0' },
    404,
  ),
  refusal('attach', 'the group is open already', V2, { ...C0, device: 'd0' }, 'EBUSY'),
  refusal('detach', 'no such device', CONTAINER, { ...C0, device: 'none' }, 404),
  refusal(
    'detach',
    'the device is in another container',
    [...V2, { call: 'open-container', container: 'c1' }],
    { container: 'c1', device: 'd0' },
    409,
  ),
  refusal(
    'detach',
    'the device is not open',
    [...CONTAINER, ...device('d0')],
    { ...C0, device: 'd0' },
    'EBADF',
  ),
];

export const CONTAINER_REFUSALS: Refusal[] = [
  ...LIFE,
  ...MAP,
  ...UNMAP,
  ...DIRTY,
  ...ATTACH,
  ...CONVENIENCES,
];
