import { VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_TYPE1v2_IOMMU } from '../../schemas/uapi.ts';
import type { MdevDriver } from '../../src/kernel/driver.ts';
import type { Generation } from '../../src/kernel/generations/index.ts';
import type { CompatContainer } from '../../src/kernel/iommufd/vfio-compat.ts';
import { Kernel } from '../../src/kernel/kernel.ts';
import { PAGE_SIZE } from '../../src/kernel/pages.ts';
import { type KernelStep, Task } from '../../src/kernel/task.ts';
import type { Type1 } from '../../src/kernel/type1/type1.ts';
import type { Container } from '../../src/kernel/vfio/container.ts';
import { mapDma, setIommu, unmapDma } from '../../src/kernel/vfio/container-file.ts';
import { type Device, openDevice } from '../../src/kernel/vfio/device.ts';
import { openGroup, setContainer } from '../../src/kernel/vfio/group.ts';
import type { MapDmaArgs, UnmapDmaArgs } from '../../src/kernel/vfio/iommu-ops.ts';
import { vfioPinPages, vfioUnpinPages } from '../../src/kernel/vfio/vfio-main.ts';

const READ_WRITE = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
const PAGE = BigInt(PAGE_SIZE);

/** A driver that takes part in every unmap and does nothing. */
const idleDriver: MdevDriver = {
  hasDmaUnmap: true,
  *openDevice(): KernelStep<null> {
    return null;
  },
  *closeDevice(): KernelStep<void> {},
  *dmaUnmap(): KernelStep<void> {},
};

/** Address of a page, bytes. */
export function addressOfPage(page: number): bigint {
  return BigInt(page) * PAGE;
}

/** Entries of an engine's table, and how many there is room for. */
interface Table {
  readonly count: number;
  readonly capacity: number;
}

/** A kernel with one type1v2 container and one open mdev in it. Each method is one kernel call, as one task. */
export class BenchKernel {
  readonly mappings: Table;
  readonly pins: Table;
  private readonly container: Container;
  private readonly kernel: Kernel;
  private readonly device: Device;

  /** @param entryLimit the module parameter dma_entry_limit: mappings the container may have */
  constructor(gen: Generation, entryLimit: number) {
    const limits = {
      residentPages: 0,
      rigPages: 0,
      dirtyBitmapBytes: 0,
      objectBytes: Number.POSITIVE_INFINITY,
      pins: 2 ** 31,
      regions: 1,
      files: 2 ** 20,
    };
    const kernel = new Kernel(gen, limits);
    kernel.dmaEntryLimit = entryLimit;
    this.kernel = kernel;
    this.device = kernel.createDevice('d0', 'mdev', idleDriver, kernel.groupOf('g0', null));
    const container = kernel.openContainer('c0', kernel.processes.get('p0')!);
    const { group } = this.device;
    this.run('open-group', function* (task) {
      return openGroup(task, group);
    });
    this.run('set-container', (task) => setContainer(task, group, container));
    this.run('set-iommu', (task) => setIommu(task, container, VFIO_TYPE1v2_IOMMU));
    this.run('open-device', (task) => openDevice(task, this.device));
    this.container = container;
    if (gen.containerOf === 'iommufd') {
      const { areas, accesses } = (container as CompatContainer).iommu.ioas!;
      this.mappings = areas;
      this.pins = accesses;
    } else {
      const { mappings, pins } = container.iommu as Type1;
      this.mappings = mappings;
      this.pins = pins;
    }
  }

  private run(call: string, step: (task: Task) => KernelStep<unknown>): void {
    const task = new Task(this.kernel, call, undefined);
    this.kernel.scheduler.run(task, step(task));
    if (isLoud(task) || task.end?.how !== 'returned' || task.end.value !== null) throw failed(task);
  }

  map(args: MapDmaArgs): void {
    const task = new Task(this.kernel, 'map-dma', undefined);
    this.kernel.scheduler.run(task, mapDma(task, this.container, args));
    if (isLoud(task) || task.end?.how !== 'returned' || task.end.value !== null) throw failed(task);
  }

  unmap(args: UnmapDmaArgs): void {
    const task = new Task(this.kernel, 'unmap-dma', undefined);
    this.kernel.scheduler.run(task, unmapDma(task, this.container, args));
    if (isLoud(task) || task.end?.how !== 'returned' || typeof task.end.value === 'string')
      throw failed(task);
  }

  /** Pins `npage` pages from `iova` (bytes) on. */
  pin(iova: bigint, npage: number): void {
    const task = new Task(this.kernel, 'pin-pages', 'd0');
    const step = vfioPinPages(task, this.device, iova, npage, READ_WRITE);
    this.kernel.scheduler.run(task, step);
    if (isLoud(task) || task.end?.how !== 'returned' || typeof task.end.value === 'string')
      throw failed(task);
  }

  /** Unpins `npage` pages from `iova` (bytes) on. */
  unpin(iova: bigint, npage: number): void {
    const task = new Task(this.kernel, 'unpin-pages', 'd0');
    this.kernel.scheduler.run(task, vfioUnpinPages(task, this.device, iova, npage));
    if (isLoud(task) || task.end?.how !== 'returned') throw failed(task);
  }
}

/** Arguments that map one page of IOVA to the same page of memory. */
export function mapArgs(page: number): MapDmaArgs {
  const iova = addressOfPage(page);
  return { iova, vaddr: iova, size: PAGE, flags: READ_WRITE };
}

/** Arguments that unmap one page. */
export function unmapArgs(page: number): UnmapDmaArgs {
  return { iova: addressOfPage(page), size: PAGE, flags: 0 };
}

/** Whether a call made the kernel print something, or found something. */
function isLoud({ splats, advisories }: Task): boolean {
  return splats.length > 0 || advisories.length > 0;
}

function failed(task: Task): Error {
  const { call, end, splats } = task;
  const printed = JSON.stringify(splats.map(({ entry }) => entry));
  return new Error(`${call} ended with ${JSON.stringify(end)}, and printed ${printed}`);
}
