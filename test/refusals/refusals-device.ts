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

const D0 = { device: 'd0' };
const IN_C0 = { device: 'd0', container: 'c0' };
const PAGE = 0x1000;
const TRACKED = [...MAPPED, START];
const GROUP = device('d0');
const UNLISTENING = [...CONTAINER, ...opened('d0', 3, 'no-callback'), map(0x10000, 0x3000)];
const INVALID = [...PCI, map(0x10000, 0x2000), unmap(0x10000, 0x2000, 4)];
/** Two pages of memory behind three mapped ones. */
const SHORT: CallObject[] = [...TRACKED, region(0x210000, 0x2000)];
const close = (id: string): CallObject => ({ call: 'close-device', device: id });
const closeGroup = (id: string): CallObject => ({ call: 'close-group', device: id });
const NEW = { driver: { type: 'synthetic', onDmaUnmap: 'ignore' } };

const LIFE: Refusal[] = [
  refusal('create-device', 'the id is taken', GROUP, { ...D0, ...NEW }, 'EEXIST'),
  refusal('create-device', 'an mdev without a driver', [], {}, 400),
  refusal('create-device', 'vfio-pci with a driver', [], { kind: 'vfio-pci', ...NEW }, 400),
  refusal(
    'create-device',
    'an unknown answer to invalidations',
    [],
    { driver: { type: 'synthetic', onDmaUnmap: 'x' } },
    400,
  ),
  refusal(
    'create-device',
    'more than the host holds',
    ['a', 'b', 'c', 'd'].flatMap((id) => device(id)),
    NEW,
    429,
  ),

  refusal('bind-device', 'an mdev', GROUP, { device: 'd0', to: 'none' }, 400),
  refusal('bind-device', 'no such device', [], { device: 'd0', to: 'none' }, 404),

  refusal('remove-device', 'open, and not to be waited for', V2, { ...D0, ifOpen: 'refuse' }, 'EBUSY'),
  refusal('remove-device', 'the lock of its container is held for ever', WEDGED, { device: 'd1' }, 'wedged'),
  refusal('remove-device', 'no such device', [], D0, 404),

  refusal('set-memory-enable', 'not open', device('d0', null), { ...D0, on: false }, 'EBADF'),
  refusal('set-memory-enable', 'an mdev', V2, { ...D0, on: false }, 400),
  refusal('set-request-channel', 'not open', device('d0', null), D0, 'EBADF'),
  refusal('set-request-channel', 'an mdev', V2, D0, 400),
  refusal('read-requests', 'not open', device('d0', null), D0, 'EBADF'),
  refusal('read-requests', 'without a request channel', PCI, D0, 'EBADF'),
  refusal('create-device', 'without IOMMU, which is not allowed', [], { kind: 'noiommu', group: 'g7' }, 400),

  refusal('open-group', 'open already', GROUP, D0, 'EBUSY'),
  refusal(
    'open-group',
    'more than the process may open',
    [...FULL_TABLE, { call: 'create-device', device: 'd1', kind: 'vfio-pci' }],
    { device: 'd1' },
    'EMFILE',
  ),
  refusal('open-group', 'of a process that there is not', GROUP, { ...D0, process: 'p9' }, 404),
  refusal(
    'close-group',
    'of a process that has not got it open',
    [...GROUP, { call: 'create-process', process: 'p1' }],
    { ...D0, process: 'p1' },
    'EBADF',
  ),
  refusal('open-group', 'closed, but its device is open', [...V2, closeGroup('d0')], D0, 'EBUSY'),
  refusal('open-group', 'no such device', [], D0, 404),

  refusal('close-group', 'closed already', [...GROUP, closeGroup('d0')], D0, 'EBADF'),
  refusal('close-group', 'the lock of its container is held for ever', WEDGED, { device: 'd1' }, 'wedged'),
  refusal('close-group', 'no such device', [], D0, 404),

  refusal('set-container', 'the group is closed', [...CONTAINER, ...GROUP, closeGroup('d0')], IN_C0, 'EBADF'),
  refusal(
    'set-container',
    'the container is closed',
    [...CLOSED, ...device('d1')],
    { ...IN_C0, device: 'd1' },
    'EBADF',
  ),
  refusal('set-container', 'set already', V2, IN_C0, 'EINVAL'),
  refusal(
    'set-container',
    'the lock is held for ever',
    [...WEDGED, ...device('d3')],
    { ...IN_C0, device: 'd3' },
    'wedged',
  ),
  refusal('set-container', 'no such container', GROUP, IN_C0, 404),
  refusal('set-container', 'no such device', CONTAINER, IN_C0, 404),

  refusal('unset-container', 'the group is closed', [...V2, closeGroup('d0')], D0, 'EBADF'),
  refusal('unset-container', 'no container', GROUP, D0, 'EINVAL'),
  refusal('unset-container', 'the device is open', V2, D0, 'EBUSY'),
  refusal('unset-container', 'the lock is held for ever', WEDGED, { device: 'd1' }, 'wedged'),
  refusal('unset-container', 'no such device', [], D0, 404),

  refusal('group-status', 'the group is closed', [...GROUP, closeGroup('d0')], D0, 'EBADF'),
  refusal('group-status', 'no such device', [], D0, 404),

  refusal('open-device', 'the group is closed', [...V2, close('d0'), closeGroup('d0')], D0, 'EBADF'),
  refusal('open-device', 'no container', GROUP, D0, 'EINVAL'),
  refusal(
    'open-device',
    'no IOMMU driver',
    [...CONTAINER, ...GROUP, { call: 'set-container', ...IN_C0 }],
    D0,
    'EINVAL',
  ),
  refusal('open-device', 'the lock is held for ever', WEDGED, { device: 'd1' }, 'wedged'),
  refusal('open-device', 'more than the process may open', FULL_TABLE, D0, 'EMFILE'),
  refusal('open-device', 'no such device', [], D0, 404),

  refusal('close-device', 'not open', [...V2, close('d0')], D0, 'EBADF'),
  refusal('close-device', 'the lock is held for ever', WEDGED, D0, 'wedged'),
  refusal(
    'close-device',
    'the lock is held for ever and its driver unpins',
    WEDGED,
    { device: 'd2' },
    'wedged',
  ),
  refusal('close-device', 'no such device', [], D0, 404),

  refusal(
    'set-driver',
    'dma_unmap would come or go while it is open',
    V2,
    { ...D0, driver: { type: 'synthetic', onDmaUnmap: 'no-callback' } },
    'EBUSY',
  ),
  refusal('set-driver', 'not a synthetic driver', PCI, { ...D0, ...NEW }, 400),
  refusal('set-driver', 'no such device', [], { ...D0, ...NEW }, 404),

  refusal('resume-callbacks', 'not a synthetic driver', PCI, D0, 400),
  refusal('resume-callbacks', 'no such device', [], D0, 404),
];

const unpins = (iova: number, npage: number) => ({ ...D0, iova, npage });
const pins = (iova: number, npage: number) => ({ ...unpins(iova, npage), prot: 3 });

const PIN: Refusal[] = [
  refusal('pin-pages', 'npage 0', MAPPED, pins(0x10000, 0), 'EINVAL'),
  refusal('pin-pages', 'the device is not open', [...MAPPED, close('d0')], pins(0x10000, 1), 'EINVAL', [
    'WARN_ON_ONCE',
  ]),
  refusal('pin-pages', 'npage 513', MAPPED, pins(0x10000, 513), 'E2BIG'),
  refusal('pin-pages', 'npage -1', MAPPED, pins(0x10000, -1), 'E2BIG'),
  refusal('pin-pages', 'type1', [...V1, map(0x10000, 0x3000)], pins(0x10000, 1), 'EACCES'),
  refusal('pin-pages', 'no device listens', UNLISTENING, pins(0x10000, 1), 'EINVAL'),
  refusal('pin-pages', 'no mapping', MAPPED, pins(0x20000, 1), 'EINVAL'),
  refusal(
    'pin-pages',
    'a hole after two pages, one of them pinned',
    [...MAPPED, pin(0x11000)],
    pins(0x11000, 3),
    'EINVAL',
  ),
  refusal(
    'pin-pages',
    'a hole after two pages, dirty tracking on',
    [...TRACKED, pin(0x11000)],
    pins(0x11000, 3),
    'EINVAL',
  ),
  refusal(
    'pin-pages',
    'a write to a mapping for reading, after a page',
    [...MAPPED, map(0x13000, PAGE, 1)],
    pins(0x12000, 2),
    'EPERM',
  ),
  refusal('pin-pages', 'no memory after two pages', SHORT, pins(0x10000, 3), 'EFAULT'),
  refusal(
    'pin-pages',
    'beyond the memory limit after a page',
    [...V2, memlock(PAGE), map(0x10000, 0x3000)],
    pins(0x10000, 3),
    'ENOMEM',
    ['PR_WARN'],
  ),
  refusal('pin-pages', 'a vaddr is invalid', INVALID, pins(0x10000, 1), 'EBUSY', ['WARN_ON_ONCE']),
  refusal('pin-pages', 'the lock is held for ever', WEDGED, pins(0x10000, 1), 'wedged'),
  refusal('pin-pages', 'no such device', [], pins(0x10000, 1), 404),
  refusal('pin-pages', 'npage beyond 32 bits', MAPPED, pins(0x10000, 2 ** 31), 400),

  // vfio_unpin_pages answers nothing; what it refuses it warns about.
  refusal('unpin-pages', 'npage 0', [...MAPPED, pin(0x10000)], unpins(0x10000, 0), 'warned', ['WARN_ON']),
  refusal('unpin-pages', 'npage 513', [...MAPPED, pin(0x10000)], unpins(0x10000, 513), 'warned', ['WARN_ON']),
  refusal('unpin-pages', 'the device is not open', [...MAPPED, close('d0')], unpins(0x10000, 1), 'warned', [
    'WARN_ON_ONCE',
    'WARN_ON',
  ]),
  refusal('unpin-pages', 'type1', V1, unpins(0x10000, 1), 'warned', ['WARN_ON']),
  refusal('unpin-pages', 'no mapping', [...MAPPED, pin(0x10000)], unpins(0xf000, 1), 'warned', ['WARN_ON']),
  refusal('unpin-pages', 'the lock is held for ever', WEDGED, unpins(0x10000, 1), 'wedged'),
  refusal('unpin-pages', 'no such device', [], unpins(0x10000, 1), 404),
];

function access(iova: number, write: boolean, more: object) {
  return { ...D0, iova, write, ...more };
}
const read = (iova: number, length: number) => access(iova, false, { length });
const write = (iova: number, length: number) => access(iova, true, { length, fill: 7 });

const RW: Refusal[] = [
  refusal('dma-rw', 'no bytes', MAPPED, read(0x10000, 0), 'EINVAL'),
  refusal('dma-rw', 'the device is not open', [...MAPPED, close('d0')], write(0x10000, 1), 'EINVAL', [
    'WARN_ON_ONCE',
  ]),
  refusal('dma-rw', 'no mapping', TRACKED, write(0xfff0, 0x20), 'EINVAL'),
  refusal('dma-rw', 'a hole after bytes that are written', TRACKED, write(0x12ff0, 0x20), 'EINVAL'),
  refusal('dma-rw', 'a hole after bytes that are read', TRACKED, read(0x12ff0, 0x20), 'EINVAL'),
  refusal(
    'dma-rw',
    'a write to a mapping for reading',
    [...V2, map(0x10000, PAGE, 1)],
    write(0x10000, 1),
    'EPERM',
  ),
  refusal('dma-rw', 'a mapping for writing only', [...V2, map(0x10000, PAGE, 2)], write(0x10000, 1), 'EPERM'),
  refusal('dma-rw', 'no memory after a page', SHORT, write(0x11000, 0x1001), 'EFAULT'),
  refusal('dma-rw', 'a vaddr is invalid', INVALID, read(0x10000, 1), 'EBUSY', ['WARN_ON_ONCE']),
  refusal(
    'dma-rw',
    'more contents than the host holds',
    [...TRACKED, map(0x13000, 0x5000)],
    write(0x13000, 0x5000),
    'ENOMEM',
  ),
  refusal('dma-rw', 'the lock is held for ever', WEDGED, write(0x10000, 1), 'wedged'),
  refusal('dma-rw', 'a write of nothing', MAPPED, access(0x10000, true, {}), 400),
  refusal('dma-rw', 'a read with data', MAPPED, access(0x10000, false, { length: 1, data: 'AA==' }), 400),
  refusal('dma-rw', 'no such device', [], read(0x10000, 1), 404),
];

/** Refusals of calls on devices and their groups. */
export const DEVICE_REFUSALS: Refusal[] = [...LIFE, ...PIN, ...RW];
