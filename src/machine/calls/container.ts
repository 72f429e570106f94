import { flagWord, MAP_FLAGS, UNMAP_FLAGS } from '../../../schemas/values.ts';
import type { Container } from '../../kernel/objects.ts';
import { addressOf, hex, hexAddress, pageOf } from '../../kernel/pages.ts';
import { type KernelStep, refuse, type Task } from '../../kernel/task.ts';
import type { UserBitmap } from '../../kernel/type1/dirty-bitmap.ts';
import {
  DIRTY_GET_BITMAP,
  DIRTY_START,
  DIRTY_STOP,
  type DirtyRange,
  dirtyPages,
} from '../../kernel/type1/dirty-pages.ts';
import { getInfo } from '../../kernel/type1/info.ts';
import type { Iommu } from '../../kernel/type1/iommu.ts';
import { type MapDmaArgs, mapDma } from '../../kernel/type1/map-dma.ts';
import { UNMAP_GET_DIRTY_BITMAP, type UnmapDmaArgs, unmapDma } from '../../kernel/type1/unmap-dma.ts';
import { closeContainer, containerCheckExtension, setIommu } from '../../kernel/vfio/container.ts';
import { address, type CallBody, type CallHandlers, type CallResult, ok } from '../call-handler.ts';
import type { Machine } from '../machine.ts';
import { Refused } from '../refused.ts';

/** IOMMU types by name. */
const IOMMU_TYPES = { type1: 1, type1v2: 3, 'type1-nesting': 6 } as const;

/** Dirty page indexes an answer lists; above, only the bitmap. */
const LISTED_DIRTY_PAGES = 4096;

/** A container as GET shows it. */
export function describeContainer(container: Container) {
  const { iommu } = container;
  return {
    container: container.id,
    process: container.process.id,
    open: container.open,
    groups: container.groups.map((group) => group.id),
    iommu:
      iommu === null
        ? null
        : {
            type: iommu.type,
            mappings: iommu.mappings.count,
            pins: iommu.pins.count,
            dmaAvail: iommu.dmaAvail,
            dirtyTracking: iommu.dirtyTracking,
            devices: iommu.deviceList.map((device) => device.id),
          },
    wedged: iommu?.lock.wedgedBy ?? iommu?.deviceListLock.wedgedBy ?? null,
  };
}

/**
 * Runs an ioctl that the container hands to its IOMMU driver.
 *
 * EBADF when the container's file is closed, EINVAL without an IOMMU driver.
 */
function withIommu(
  m: Machine,
  id: string,
  run: (iommu: Iommu, task: Task) => KernelStep<CallResult>,
): (task: Task<CallResult>) => KernelStep<CallResult> {
  const container = m.container(id);
  return (task) => onIommu(container, run, task as Task);
}

// Generator functions of the module's own: one made for each call would cost as much as the call.
function* onIommu(
  container: Container,
  run: (iommu: Iommu, task: Task) => KernelStep<CallResult>,
  task: Task,
): KernelStep<CallResult> {
  if (!container.open) return refuse(task, 'EBADF', "the container's file is closed");
  if (!container.iommu) return refuse(task, 'EINVAL', 'the container has no IOMMU');
  return yield* run(container.iommu, task);
}

function* map(m: Machine, task: Task, iommu: Iommu, args: MapDmaArgs): KernelStep<CallResult> {
  const errno = yield* mapDma(m.kernel, task, iommu, args);
  return errno ?? { iova: hex(args.iova), size: hex(args.size) };
}

function* unmap(m: Machine, task: Task, iommu: Iommu, args: UnmapDmaArgs): KernelStep<CallResult> {
  const result = yield* unmapDma(m.kernel, task, iommu, args);
  if (typeof result === 'string') return result;
  const size = hex(result.size);
  return result.bitmap ? { size, ...bitmapBody(result.bitmap) } : { size };
}

/** Refuses a bitmap that no answer could carry, before the call does anything. */
function checkBitmapSize(m: Machine, size: bigint): void {
  const bytes = Math.ceil(pageOf(size) / 64) * 8;
  // The kernel itself refuses more than 2^28 bytes with EINVAL.
  if (bytes > m.limits.bitmapBytes && bytes <= 2 ** 28) {
    throw Refused.tooLarge(
      `size ${hex(size)} needs a bitmap of ${bytes} bytes; one answer carries at most ${m.limits.bitmapBytes}`,
    );
  }
}

function bitmapBody(bitmap: UserBitmap): CallBody {
  const pages = bitmap.dirtyPages();
  return {
    ...(pages.length > LISTED_DIRTY_PAGES ? {} : { dirtyPages: pages }),
    bitmap: Buffer.from(bitmap.bytes()).toString('base64'),
  };
}

function dirtyCall(m: Machine, id: string, flags: number, range: DirtyRange | null) {
  return withIommu(m, id, function* (iommu, task) {
    const result = yield* dirtyPages(m.kernel, task, iommu, flags, range);
    return typeof result === 'string' || result === null ? ok(result) : bitmapBody(result);
  });
}

/** Calls on a container: the ioctls of /dev/vfio/vfio. */
export const containerCalls: CallHandlers<
  | 'open-container'
  | 'close-container'
  | 'set-iommu'
  | 'check-extension'
  | 'iommu-info'
  | 'map-dma'
  | 'unmap-dma'
  | 'dirty-start'
  | 'dirty-stop'
  | 'dirty-get'
  | 'dirty-flags'
> = {
  'open-container': (m, _id, args) => {
    const process = m.process(args.process ?? 'p0');
    const { containers } = m.kernel;
    if (containers.size >= m.limits.containers) {
      throw Refused.tooMany('containers', m.limits.containers);
    }
    return function* () {
      if (args.container !== undefined && containers.has(args.container)) return 'EEXIST';
      const container = m.kernel.openContainer(m.newId('c', args.container, containers), process);
      return { container: container.id, process: process.id };
    };
  },
  'close-container': (m, id) => {
    const container = m.container(id);
    return function* (task) {
      if (!container.open) return 'EBADF';
      yield* closeContainer(m.kernel, task as Task, container);
      m.collect(container);
      return {};
    };
  },
  'set-iommu': (m, id, args) => {
    const container = m.container(id);
    const type = typeof args.type === 'number' ? args.type : IOMMU_TYPES[args.type];
    return function* (task) {
      if (!container.open) return 'EBADF';
      return ok(yield* setIommu(m.kernel, task as Task, container, type));
    };
  },
  'check-extension': (m, id, args) => {
    const container = m.container(id);
    return function* (task) {
      if (!container.open) return 'EBADF';
      return { value: yield* containerCheckExtension(m.kernel, task as Task, container, args.extension) };
    };
  },
  'iommu-info': (m, id) =>
    withIommu(m, id, function* (iommu, task) {
      const info = yield* getInfo(m.kernel, task, iommu);
      return {
        pageSizes: hex(info.pageSizes),
        dmaAvail: info.dmaAvail,
        dirtyPageSizes: hex(info.dirtyPageSizes),
        maxDirtyBitmapSize: hex(info.maxDirtyBitmapSize),
        ...(info.iovaRanges.length === 0
          ? {}
          : { iovaRanges: info.iovaRanges.map((r) => [hexAddress(r.start), hex(addressOf(r.end) - 1n)]) }),
      };
    }),
  'map-dma': (m, id, args) => {
    const iova = address(args.iova);
    const size = address(args.size);
    const flags = flagWord(args.flags, MAP_FLAGS);
    const mapArgs = { iova, vaddr: address(args.vaddr), size, flags };
    return withIommu(m, id, (iommu, task) => map(m, task, iommu, mapArgs));
  },
  'unmap-dma': (m, id, args) => {
    const iova = address(args.iova);
    const size = address(args.size);
    const flags = flagWord(args.flags ?? 0, UNMAP_FLAGS);
    const wantsBitmap = (flags & UNMAP_GET_DIRTY_BITMAP) !== 0;
    if (wantsBitmap) checkBitmapSize(m, size);
    const range = { iova, size, flags };
    const unmapArgs = args.pageSize === undefined ? range : { ...range, pageSize: address(args.pageSize) };
    return withIommu(m, id, (iommu, task) => unmap(m, task, iommu, unmapArgs));
  },
  'dirty-start': (m, id) => dirtyCall(m, id, DIRTY_START, null),
  'dirty-stop': (m, id) => dirtyCall(m, id, DIRTY_STOP, null),
  'dirty-get': (m, id, args) => {
    const size = address(args.size);
    checkBitmapSize(m, size);
    return dirtyCall(m, id, DIRTY_GET_BITMAP, {
      iova: address(args.iova),
      size,
      pageSize: address(args.pageSize),
    });
  },
  'dirty-flags': (m, id, args) => dirtyCall(m, id, args.flags, null),
};
