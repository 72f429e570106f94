import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { fuzz } from '../harness/fuzz.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import { type IommufdOp, iommufdOp, iommufdSetup } from '../model/iommufd-calls.ts';
import { NaiveIommufdHost } from '../model/naive-iommufd-host.ts';
import type { Call } from '../model/naive-values.ts';
import { expectedAfter, isRefusal, make } from '../refusals/refusal-rules.ts';
import {
  CONTAINER,
  device,
  map,
  memlock,
  opened,
  pin,
  type Refusal,
  refusal,
  region,
  smallHost,
  unmap,
} from '../refusals/refusals.ts';

const VERSION = '6.12-iommufd';
const C0 = { container: 'c0' };
const WARN = ['WARN_ON'];

const join = (id: string): CallObject => ({ call: 'set-container', device: id, container: 'c0' });
/** A group in the container, its device not open: nothing asks for whole pages. */
const BARE: CallObject[] = [...CONTAINER, ...device('d0'), join('d0')];
const OPEN: CallObject[] = [...CONTAINER, ...opened('d0', null)];
const MAPPED: CallObject[] = [...OPEN, map(0x10000, 0x3000)];
const PINNED: CallObject[] = [...MAPPED, pin(0x11000)];
const PCI: CallObject[] = [...CONTAINER, ...opened('x0', null, null)];
const TYPE1: CallObject[] = [...CONTAINER, ...opened('d0', 1), map(0x10000, 0x3000)];
/** A mapping that an unmap has closed. */
const SHUT: CallObject[] = [
  ...CONTAINER,
  ...opened('d0', null, 'ignore'),
  map(0x10000, 0x3000),
  pin(0x11000),
  unmap(0x10000, 0x3000),
];
const SHUT_TYPE1: CallObject[] = [
  ...CONTAINER,
  ...opened('d0', 1, 'ignore'),
  map(0x10000, 0x3000),
  pin(0x11000),
  unmap(0x10000, 0x3000),
];
const mapping = (
  iova: number | string,
  size: number | string,
  flags: unknown = 3,
  vaddr: unknown = 0x200000,
) => ({
  ...C0,
  iova,
  size,
  flags,
  vaddr,
});
const range = (iova: number | string, size: number | string, flags = 0) => ({ ...C0, iova, size, flags });
const pins = (iova: number | string, npage: number, prot = 3, id = 'd0') => ({
  device: id,
  iova,
  npage,
  prot,
});
const unpins = (iova: number | string, npage: number) => ({ device: 'd0', iova, npage });
const copy = (iova: number | string, length: number, write = false) => ({
  device: 'd0',
  iova,
  length,
  write,
  ...(write ? { fill: 1 } : {}),
});

const REFUSALS: Refusal[] = [
  refusal('set-iommu', 'type 6', BARE, { ...C0, type: 6 }, 'EINVAL'),
  refusal('set-iommu', 'no group was there yet', CONTAINER, { ...C0, type: 3 }, 'ENODEV'),
  refusal(
    'set-iommu',
    'type 1 with mappings in a domain',
    [...PCI, map(0, 0x1000)],
    { ...C0, type: 1 },
    'EINVAL',
  ),
  refusal(
    'set-iommu',
    'type 1 with a mapping of half a page',
    [...BARE, map(0, 0x800)],
    { ...C0, type: 1 },
    'EADDRINUSE',
  ),
  refusal('check-extension', 'coherency before a group', CONTAINER, { ...C0, extension: 4 }, 'ENODEV'),
  refusal('iommu-info', 'no group was there yet', CONTAINER, C0, 'ENODEV'),
  refusal('dirty-start', 'ever', OPEN, C0, 'ENOTTY'),
  refusal('map-dma', 'no group was there yet', CONTAINER, mapping(0, 0x1000), 'ENODEV'),
  refusal('map-dma', 'the vaddr flag', OPEN, mapping(0, 0x1000, 4), 'EINVAL'),
  refusal('map-dma', 'size 0', BARE, mapping(0, 0), 'EINVAL'),
  refusal('map-dma', 'size above 2^64-1-4096', BARE, mapping(0, '0xfffffffffffff001'), 'EINVAL'),
  refusal(
    'map-dma',
    'vaddr and size reach 2^64',
    BARE,
    mapping(0, 0x1000, 3, '0xfffffffffffff000'),
    'EOVERFLOW',
  ),
  refusal('map-dma', 'half a page with an mdev', OPEN, mapping(0, 0x800), 'EINVAL'),
  refusal('map-dma', 'an iova within a page with an mdev', OPEN, mapping(0x10, 0x1000), 'EINVAL'),
  refusal('map-dma', 'a vaddr within a page with an mdev', OPEN, mapping(0, 0x1000, 3, 0x10), 'EINVAL'),
  refusal('map-dma', 'beyond 2^64', OPEN, mapping('0xfffffffffffff000', 0x2000), 'EOVERFLOW'),
  refusal('map-dma', 'over a mapping', MAPPED, mapping(0x12000, 0x2000), 'EEXIST'),
  refusal('map-dma', 'in the MSI window of a domain', PCI, mapping(0xfee00000, 0x1000), 'EINVAL'),
  refusal('map-dma', 'beyond the aperture of a domain', PCI, mapping(2 ** 39, 0x1000), 'EINVAL'),
  refusal('map-dma', 'no permission, with a domain', PCI, mapping(0, 0x1000, 0), 'EINVAL'),
  refusal(
    'map-dma',
    'no memory, with a domain',
    [...PCI, region(0x200000, 0x1000)],
    mapping(0, 0x2000),
    'EFAULT',
  ),
  refusal('map-dma', 'RLIMIT_MEMLOCK, with a domain', [...PCI, memlock(4096)], mapping(0, 0x2000), 'ENOMEM'),
  refusal('unmap-dma', 'no group was there yet', CONTAINER, range(0, 0x1000), 'ENODEV'),
  refusal('unmap-dma', 'the vaddr flag', MAPPED, range(0x10000, 0x3000, 4), 'EINVAL'),
  refusal('unmap-dma', 'all with a range', MAPPED, range(0x10000, 0x3000, 2), 'EINVAL'),
  refusal('unmap-dma', 'size 0', MAPPED, range(0x10000, 0), 'EINVAL'),
  refusal('unmap-dma', 'beyond 2^64', MAPPED, range('0xfffffffffffff000', 0x2000), 'EOVERFLOW'),
  refusal('unmap-dma', 'the end of a mapping alone', MAPPED, range(0x12000, 0x3000), 'ENOENT'),
  refusal('unmap-dma', 'the start of a mapping alone', MAPPED, range(0xf000, 0x2000), 'ENOENT'),
  refusal('unmap-dma', 'a cut off the page', TYPE1, range(0x10000, 0x800), 'EINVAL'),
  refusal(
    'unmap-dma',
    'a cut through a mapping with pins',
    [...TYPE1, pin(0x11000)],
    range(0x11000, 0x1000),
    'EINVAL',
  ),
  refusal('unmap-dma', 'a cut through a closed mapping', SHUT_TYPE1, range(0x11000, 0x1000), 'EBUSY'),
  refusal('pin-pages', 'npage 0', MAPPED, pins(0x10000, 0), 'EINVAL'),
  refusal('pin-pages', 'the device is closed', BARE, pins(0x10000, 1), 'EINVAL', ['WARN_ON_ONCE', 'WARN_ON']),
  refusal('pin-pages', 'beyond 2^64', MAPPED, pins('0xfffffffffffff000', 2), 'EOVERFLOW'),
  refusal('pin-pages', 'a hole after two pages', MAPPED, pins(0x11000, 3), 'ENOENT'),
  refusal('pin-pages', 'a closed mapping', SHUT, pins(0x12000, 1), 'EINVAL'),
  refusal(
    'pin-pages',
    'writing where the mapping may not',
    [...OPEN, map(0, 0x1000, 1)],
    pins(0, 1, 2),
    'EPERM',
  ),
  refusal(
    'pin-pages',
    'reading where the mapping may not',
    [...OPEN, map(0, 0x1000, 2)],
    pins(0, 1, 1),
    'EPERM',
  ),
  refusal(
    'pin-pages',
    'no memory behind the second page',
    [...MAPPED, region(0x210000, 0x1000)],
    pins(0x10000, 2),
    'EFAULT',
  ),
  refusal('pin-pages', 'RLIMIT_MEMLOCK', [...OPEN, memlock(4096), map(0, 0x2000)], pins(0, 2), 'ENOMEM'),
  refusal(
    'pin-pages',
    'more pages than one pin may have',
    [...OPEN, map(0, 2 ** 30)],
    pins(0, 70_000),
    'ENOMEM',
  ),
  refusal('unpin-pages', '0 pages', PINNED, unpins(0x11000, 0), 'warned', WARN),
  refusal('unpin-pages', 'beyond 2^64', PINNED, unpins('0xfffffffffffff000', 2), 'warned', WARN),
  refusal('unpin-pages', 'pages that no pin has', PINNED, unpins(0x10000, 1), 'warned', WARN),
  refusal('unpin-pages', 'no mapping', PINNED, unpins(0x80000, 1), 'warned', WARN),
  refusal('dma-rw', 'length 0', MAPPED, copy(0x10000, 0), 'EINVAL'),
  refusal('dma-rw', 'no mapping', MAPPED, copy(0x80000, 1), 'ENOENT'),
  refusal('dma-rw', 'beyond 2^64', MAPPED, copy('0xffffffffffffffff', 2), 'EOVERFLOW'),
  refusal('dma-rw', 'a closed mapping', SHUT, copy(0x10000, 1, true), 'EINVAL'),
  refusal(
    'dma-rw',
    'writing where the mapping may not',
    [...OPEN, map(0, 0x1000, 1)],
    copy(0, 1, true),
    'EPERM',
  ),
  refusal('dma-rw', 'no memory', [...MAPPED, region(0x300000, 0x1000)], copy(0x10000, 1, true), 'EFAULT'),
  refusal('open-device', 'no container', device('d0'), { device: 'd0' }, 'EINVAL'),
  refusal(
    'open-device',
    'a mapping of half a page',
    [...BARE, map(0, 0x800)],
    { device: 'd0' },
    'EADDRINUSE',
  ),
  ...(
    [
      ['a mapping in the MSI window', [map(0xfee00000, 0x1000)], 'EADDRINUSE'],
      ['a mapping beyond the aperture', [map(2 ** 39, 0x1000)], 'EADDRINUSE'],
      ['a mapping without permission', [map(0, 0x1000), map(0x1000, 0x1000, 0)], 'EINVAL'],
      [
        'no memory behind the second mapping',
        [region(0x200000, 0x1000), map(0, 0x1000), map(0x1000, 0x1000)],
        'EFAULT',
      ],
      ['RLIMIT_MEMLOCK', [memlock(4096), map(0, 0x1000), map(0x1000, 0x1000)], 'ENOMEM'],
    ] as const
  ).map(([why, before, errno]) =>
    refusal(
      'open-device',
      `${why}, behind the IOMMU`,
      [...CONTAINER, ...device('x0', null), join('x0'), ...before],
      { device: 'x0' },
      errno,
    ),
  ),
  refusal('unset-container', 'no container', device('d0'), { device: 'd0' }, 'EINVAL'),
  refusal('set-container', 'in one already', BARE, { device: 'd0', container: 'c0' }, 'EINVAL'),
];

test.for(REFUSALS.map((one) => [`${one.call} ${one.condition}: ${one.answer}`, one] as const))(
  '%s',
  ([, row]) => {
    const { call, setup, args, answer, log } = row;
    const host = smallHost(VERSION);
    for (const step of setup) make(host, step);
    const before = dumpKernel(host.kernel);
    const refused = { call, ...args };
    const ending = make(host, refused);
    expect(ending.how).toBe(answer === 'warned' ? 'ok' : answer);
    expect(ending.log.map(({ kind }) => kind)).toEqual(log);
    const after = dumpKernel(host.kernel);
    expect(after).toEqual(expectedAfter(before, after, refused, ending));
  },
);

/** What a refused call may leave behind: mappings that an unmap took, cut or closed; callbacks; what was written. */
function mayChange({ call, write }: Call): boolean {
  return call === 'unmap-dma' || (call === 'dma-rw' && write === true);
}

function refuseAll(setup: readonly Call[], ops: readonly IommufdOp[]): void {
  const host = smallHost(VERSION);
  const model = new NaiveIommufdHost();
  const done: Call[] = [];
  for (const next of [...setup, ...ops]) {
    const call = 'callFor' in next ? (next as IommufdOp).callFor(model) : (next as Call);
    model.apply(call);
    done.push(call);
    const before = dumpKernel(host.kernel);
    const ending = make(host, call as CallObject);
    if (!isRefusal(ending) || mayChange(call)) continue;
    const after = dumpKernel(host.kernel);
    const expected = expectedAfter(before, after, call as CallObject, ending);
    if (isDeepStrictEqual(after, expected)) continue;
    const steps = done.map((one) => JSON.stringify(one)).join('\n');
    expect(after, `${call.call} answered ${ending.how}, after\n${steps}`).toEqual(expected);
  }
}

test('random calls: whatever is refused leaves the kernel as it was', () => {
  fc.assert(
    fc.property(
      iommufdSetup,
      fc.noBias(fc.array(iommufdOp, { minLength: 1, maxLength: 60, size: 'max' })),
      refuseAll,
    ),
    fuzz('iommufd-refusals'),
  );
});
