import type { containerCalls as entries } from '../../../schemas/calls/container.ts';
import {
  VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
} from '../../../schemas/uapi.ts';
import { flagWord, IOMMU_TYPES, MAP_FLAGS, UNMAP_FLAGS } from '../../../schemas/values.ts';
import { base64 } from '../../json/base64.ts';
import { LongList } from '../../json/pieces.ts';
import type { Errno } from '../../kernel/errno.ts';
import { refuseFile } from '../../kernel/files.ts';
import { addressOf, hex, hexAddress } from '../../kernel/pages.ts';
import type { KernelStep, Task } from '../../kernel/task.ts';
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
  ErrnoCall,
  idTaken,
  type KernelCall,
  type LazyBody,
  ok,
  type PreparedCall,
  SizeBody,
} from '../call-handler.ts';
import type { Machine } from '../machine.ts';
import { Refused } from '../refused.ts';

/** Dirty page indexes an answer lists; above, only the bitmap. */
const LISTED_DIRTY_PAGES = 4096;

/** VFIO_IOMMU_MAP_DMA. */
class MapDma extends DirectCall<Errno | null> {
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

  override kept(): LazyBody {
    return new SizeBody(this.args.size);
  }

  override text(): string {
    return `{"iova":"${hex(this.args.iova)}","size":"${hex(this.args.size)}"}`;
  }
}

/** VFIO_IOMMU_UNMAP_DMA. */
class UnmapDma extends DirectCall<UnmapDmaResult> {
  private result: Exclude<UnmapDmaResult, Errno> | null = null;

  constructor(
    private readonly container: Container,
    private readonly args: UnmapDmaArgs,
    private readonly mostBytes: number,
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

  override kept(): LazyBody | null {
    const { size, bitmap } = this.result!;
    return bitmap ? null : new SizeBody(size);
  }

  /** It always says whom it called, be it nobody. */
  override fields(): CallBody {
    const { size, bitmap } = this.result!;
    return { size: hex(size), ...(bitmap && bitmapBody(bitmap, this.mostBytes)), invalidations: [] };
  }

  override text(): string | null {
    const { size, bitmap } = this.result!;
    return bitmap ? null : `{"size":"${hex(size)}","invalidations":[]}`;
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

/** The dirty pages: as ranges, and one by one and as a bitmap while that is small. */
function bitmapBody(bitmap: UserBitmap, mostBytes: number): CallBody {
  const few = fewRanges(bitmap);
  const pages = few && pagesIn(few);
  return {
    dirtyRanges: few ?? new LongList(() => bitmap.ranges()),
    ...(pages && { dirtyPages: pages }),
    ...(bitmap.size <= mostBytes && { bitmap: base64(bitmap.bytes()) }),
  };
}

/** All ranges; null above as many as an answer lists pages. */
function fewRanges(bitmap: UserBitmap): [first: number, count: number][] | null {
  const ranges: [number, number][] = [];
  for (const range of bitmap.ranges()) if (ranges.push(range) > LISTED_DIRTY_PAGES) return null;
  return ranges;
}

/** The pages of ranges one by one; null above those that an answer lists. */
function pagesIn(ranges: readonly (readonly [first: number, count: number])[]): number[] | null {
  const pages: number[] = [];
  for (const [first, count] of ranges) {
    if (pages.length + count > LISTED_DIRTY_PAGES) return null;
    for (let i = 0; i < count; i++) pages.push(first + i);
  }
  return pages;
}

function dirtyCall(
  machine: Machine,
  container: Container,
  flags: number,
  range: DirtyRange | null,
): PreparedCall {
  return {
    run: (task) => dirtyPages(task, container, flags, range),
    answer: (result: Errno | UserBitmap | null) =>
      typeof result === 'string' || result === null
        ? ok(result)
        : bitmapBody(result, machine.limits.bitmapBytes),
  } satisfies KernelCall<Errno | UserBitmap | null>;
}

/** The caller's bitmap (struct vfio_bitmap). */
function bitmapOf(pageSize: string | number, bitmapSize: string | number | undefined) {
  const bitmap = { pageSize: address(pageSize) };
  return bitmapSize === undefined ? bitmap : { ...bitmap, bitmapSize: address(bitmapSize) };
}

/** Calls on a container: the ioctls of /dev/vfio/vfio. */
export const containerCalls: CallHandlers<keyof typeof entries> = {
  'open-container': (machine, _host, args) => {
    const process = machine.process(args.process ?? 'p0');
    const { containers } = machine.kernel;
    if (containers.size >= machine.limits.containers) {
      throw Refused.tooMany('containers', machine.limits.containers);
    }
    return function* (task) {
      const { container: asked } = args;
      if (asked !== undefined && containers.has(asked)) return idTaken(task, 'container', asked);
      const full = refuseFile(task);
      if (full) return full;
      const container = machine.kernel.openContainer(machine.ids.take('container', asked), process);
      return { container: container.id, process: process.id };
    };
  },
  'close-container': (_machine, container) => {
    return new ErrnoCall(closeContainer, container);
  },
  'set-iommu': (_machine, container, args) => {
    const type =
      args.type in IOMMU_TYPES ? IOMMU_TYPES[args.type as keyof typeof IOMMU_TYPES] : Number(args.type);
    return new ErrnoCall((task, on: Container) => setIommu(task, on, type), container);
  },
  'check-extension': (_machine, container, args) => {
    return function* (task) {
      const value = yield* checkExtension(task, container, Number(args.extension));
      return typeof value === 'string' ? value : { value };
    };
  },
  'iommu-info': (_machine, container) => {
    return function* (task) {
      const info = yield* getInfo(task, container);
      return typeof info === 'string' ? info : infoBody(info);
    };
  },
  'map-dma': (_machine, container, args) => {
    const iova = address(args.iova);
    const size = address(args.size);
    const flags = flagWord(args.flags, MAP_FLAGS);
    const mapArgs = { iova, vaddr: address(args.vaddr), size, flags };
    return new MapDma(container, mapArgs);
  },
  'unmap-dma': (machine, container, args) => {
    const iova = address(args.iova);
    const size = address(args.size);
    const flags = flagWord(args.flags ?? 0, UNMAP_FLAGS);
    const range = { iova, size, flags };
    const unmapArgs =
      args.pageSize === undefined ? range : { ...range, ...bitmapOf(args.pageSize, args.bitmapSize) };
    return new UnmapDma(container, unmapArgs, machine.limits.bitmapBytes);
  },
  'dirty-start': (machine, container) =>
    dirtyCall(machine, container, VFIO_IOMMU_DIRTY_PAGES_FLAG_START, null),
  'dirty-stop': (machine, container) => dirtyCall(machine, container, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, null),
  'dirty-get': (machine, container, args) => {
    return dirtyCall(machine, container, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, {
      iova: address(args.iova),
      size: address(args.size),
      ...bitmapOf(args.pageSize, args.bitmapSize),
    });
  },
  'dirty-flags': (machine, container, args) => dirtyCall(machine, container, args.flags, null),
};
