import { flagWord, IOMMU_TYPES, MAP_FLAGS, UNMAP_FLAGS } from '../../../schemas/values.ts';
import type { Errno } from '../../kernel/errno.ts';
import { addressOf, hex, hexAddress, pageOf } from '../../kernel/pages.ts';
import type { KernelStep, Task } from '../../kernel/task.ts';
import {
  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
} from '../../kernel/uapi.ts';
import type { Container } from '../../kernel/vfio/container.ts';
import {
  checkExtension,
  closeContainer,
  dirtyPages,
  getInfo,
  mapDma,
  setIommu,
  unmapDma,
} from '../../kernel/vfio/container-file.ts';
import type {
  DirtyRange,
  IommuInfo,
  MapDmaArgs,
  UnmapDmaArgs,
  UnmapDmaResult,
  UserBitmap,
} from '../../kernel/vfio/iommu-ops.ts';
import {
  address,
  type CallBody,
  type CallHandlers,
  type CallResult,
  DirectCall,
  idTaken,
  ok,
  type PreparedCall,
} from '../call-handler.ts';
import type { Machine } from '../machine.ts';
import { Refused } from '../refused.ts';

/** Dirty page indexes an answer lists; above, only the bitmap. */
const LISTED_DIRTY_PAGES = 4096;

/** VFIO_IOMMU_MAP_DMA. */
class MapDma extends DirectCall<Errno | null> {
  override readonly isSmall = true;

  constructor(
    private readonly container: Container,
    private readonly args: MapDmaArgs,
  ) {
    super();
  }

  override run(task: Task): KernelStep<Errno | null> {
    return mapDma(task, this.container, this.args);
  }

  override answer(errno: Errno | null): CallResult {
    return errno ?? this;
  }

  override fields(): CallBody {
    return { iova: hex(this.args.iova), size: hex(this.args.size) };
  }
}

/** VFIO_IOMMU_UNMAP_DMA. */
class UnmapDma extends DirectCall<UnmapDmaResult> {
  private result: Exclude<UnmapDmaResult, Errno> | null = null;

  constructor(
    private readonly container: Container,
    private readonly args: UnmapDmaArgs,
  ) {
    super();
  }

  override run(task: Task): KernelStep<UnmapDmaResult> {
    return unmapDma(task, this.container, this.args);
  }

  override answer(result: UnmapDmaResult): CallResult {
    if (typeof result === 'string') return result;
    this.result = result;
    return this;
  }

  override get isSmall(): boolean {
    return !this.result?.bitmap;
  }

  override fields(): CallBody {
    const { size, bitmap } = this.result!;
    return bitmap ? { size: hex(size), ...bitmapBody(bitmap) } : { size: hex(size) };
  }
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

function infoBody({ pageSizes, dmaAvail, migration, iovaRanges }: IommuInfo): CallBody {
  return {
    pageSizes: hex(pageSizes),
    dmaAvail,
    ...(migration && {
      dirtyPageSizes: hex(migration.pageSizes),
      maxDirtyBitmapSize: hex(migration.maxBitmapSize),
    }),
    ...(iovaRanges.length > 0 && {
      iovaRanges: iovaRanges.map(({ start, end }) => [hexAddress(start), hex(addressOf(end) - 1n)]),
    }),
  };
}

function bitmapBody(bitmap: UserBitmap): CallBody {
  const pages = bitmap.dirtyPages();
  return {
    ...(pages.length > LISTED_DIRTY_PAGES ? {} : { dirtyPages: pages }),
    bitmap: Buffer.from(bitmap.bytes()).toString('base64'),
  };
}

function dirtyCall(container: Container, flags: number, range: DirtyRange | null): PreparedCall {
  return function* (task) {
    const result = yield* dirtyPages(task, container, flags, range);
    return typeof result === 'string' || result === null ? ok(result) : bitmapBody(result);
  };
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
  'open-container': (m, _host, args) => {
    const process = m.process(args.process ?? 'p0');
    const { containers } = m.kernel;
    if (containers.size >= m.limits.containers) {
      throw Refused.tooMany('containers', m.limits.containers);
    }
    return function* (task) {
      const { container: asked } = args;
      if (asked !== undefined && containers.has(asked)) return idTaken(task, 'container', asked);
      const container = m.kernel.openContainer(m.newId('c', asked, containers), process);
      return { container: container.id, process: process.id };
    };
  },
  'close-container': (_m, container) => {
    return function* (task) {
      return ok(yield* closeContainer(task, container));
    };
  },
  'set-iommu': (_m, container, args) => {
    const type =
      args.type in IOMMU_TYPES ? IOMMU_TYPES[args.type as keyof typeof IOMMU_TYPES] : Number(args.type);
    return function* (task) {
      return ok(yield* setIommu(task, container, type));
    };
  },
  'check-extension': (_m, container, args) => {
    return function* (task) {
      const value = yield* checkExtension(task, container, Number(args.extension));
      return typeof value === 'string' ? value : { value };
    };
  },
  'iommu-info': (_m, container) => {
    return function* (task) {
      const info = yield* getInfo(task, container);
      return typeof info === 'string' ? info : infoBody(info);
    };
  },
  'map-dma': (_m, container, args) => {
    const iova = address(args.iova);
    const size = address(args.size);
    const flags = flagWord(args.flags, MAP_FLAGS);
    const mapArgs = { iova, vaddr: address(args.vaddr), size, flags };
    return new MapDma(container, mapArgs);
  },
  'unmap-dma': (m, container, args) => {
    const iova = address(args.iova);
    const size = address(args.size);
    const flags = flagWord(args.flags ?? 0, UNMAP_FLAGS);
    const wantsBitmap = (flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) !== 0;
    if (wantsBitmap) checkBitmapSize(m, size);
    const range = { iova, size, flags };
    const unmapArgs = args.pageSize === undefined ? range : { ...range, pageSize: address(args.pageSize) };
    return new UnmapDma(container, unmapArgs);
  },
  'dirty-start': (_m, container) => dirtyCall(container, VFIO_IOMMU_DIRTY_PAGES_FLAG_START, null),
  'dirty-stop': (_m, container) => dirtyCall(container, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, null),
  'dirty-get': (m, container, args) => {
    const size = address(args.size);
    checkBitmapSize(m, size);
    return dirtyCall(container, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, {
      iova: address(args.iova),
      size,
      pageSize: address(args.pageSize),
    });
  },
  'dirty-flags': (_m, container, args) => dirtyCall(container, args.flags, null),
};
