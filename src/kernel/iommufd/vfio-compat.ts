import type { SavedContainer } from '../../../schemas/snapshot/vfio.ts';
import {
  NOIOMMU_TYPE,
  VFIO_DMA_CC_IOMMU,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VFIO_UNMAP_ALL,
} from '../../../schemas/uapi.ts';
import type { Errno } from '../errno.ts';
import { ALL_IOVA, isCoherent, pageSizesOf, usableRanges } from '../iommu/hardware.ts';
import type { Kernel } from '../kernel.ts';
import type { Mm } from '../mm.ts';
import { noIommuExtension } from '../noiommu/index.ts';
import { hex } from '../pages.ts';
import type { MappingOwner, Process } from '../process.ts';
import { wrong } from '../saved/checks.ts';
import type { KernelStep, Task } from '../task.ts';
import { Container, type ListOf, refused, type SavedEngine } from '../vfio/container.ts';
import type { Device } from '../vfio/device.ts';
import { type Group, refuseRawIo } from '../vfio/group.ts';
import type { IommuInfo, MapDmaArgs, UnmapDmaArgs, UnmapDmaResult } from '../vfio/iommu-ops.ts';
import { IommufdCtx } from './ctx.ts';
import { cutsOf, ioptCutIova, ioptDisableLargePages } from './cut.ts';
import type { Ioas } from './ioas.ts';
import { ioptMapUserPages } from './map.ts';
import { restoreIoas } from './restore.ts';
import { chargedPages, holdersIn, saveIoas } from './saved.ts';
import { adviseUnmapped, type IovaUnmapped, ioptUnmapAll, ioptUnmapIova } from './unmap.ts';
import { IoasView } from './view.ts';

/** Mappings that may still be made, as GET_INFO says: there is no limit. */
const DMA_AVAIL = 2 ** 32 - 1;
/** Page sizes without a domain: every power of two from 4096 on. */
const ANY_PAGE_SIZE = 0xffff_ffff_ffff_f000n;

const NO_IOAS = 'the container has no IOAS: no group was attached to it yet';

/** /dev/vfio/vfio as iommufd serves it (CONFIG_IOMMUFD_VFIO_CONTAINER; vfio_compat.c). */
export class CompatContainer extends Container {
  readonly iommu: IommufdCtx;
  override readonly holdsDma = false;

  constructor(
    private readonly kernel: Kernel,
    id: string,
    process: Process,
  ) {
    super(id, process);
    this.iommu = new IommufdCtx(this, kernel);
  }

  get view(): IoasView | null {
    return this.ioas && new IoasView(this.kernel, this.ioas);
  }

  /** `no_iommu_mode`: its groups have no IOMMU, and it has no IOAS. */
  private get noIommu(): boolean {
    return this.groups.some((group) => group.noIommu);
  }

  /** `get_compat_ioas`. */
  private get ioas(): Ioas | null {
    return this.iommu.ioas;
  }

  /** Its file, its groups and the devices that were opened through it hold the context. */
  override get inUse(): boolean {
    return super.inUse || this.iommu.devices.size > 0;
  }

  /**
   * iommufd_vfio_set_iommu: any number of times, also with mappings. Type 1 switches large pages off for good.
   *
   * @returns EINVAL for anything but 1 and 3; ENODEV before the first group; what iopt_disable_large_pages answers
   */
  *setIommu(task: Task, type: number): KernelStep<Errno | null> {
    if (this.noIommu && type === NOIOMMU_TYPE) return refuseRawIo(task);
    if ((type !== VFIO_TYPE1_IOMMU && type !== VFIO_TYPE1v2_IOMMU) || this.noIommu) {
      return task.refuse('EINVAL', `type ${type} is neither 1 nor 3`);
    }
    if (!this.ioas) return task.refuse('ENODEV', NO_IOAS);
    return type === VFIO_TYPE1_IOMMU ? ioptDisableLargePages(task, this.ioas) : null;
  }

  /** iommufd_vfio_check_extension: ENODEV for 4 before the first group. */
  *checkExtension(task: Task, extension: number): KernelStep<Errno | number> {
    switch (extension) {
      case VFIO_TYPE1_IOMMU:
      case VFIO_TYPE1v2_IOMMU:
      case VFIO_UNMAP_ALL:
        return 1;
      case VFIO_DMA_CC_IOMMU:
        if (!this.ioas) return task.refuse('ENODEV', NO_IOAS);
        // Without a domain there is nothing to enforce.
        return this.ioas.hardware.every((iommu) => isCoherent(iommu, task.kernel.gen)) ? 1 : 0;
      case NOIOMMU_TYPE:
        return noIommuExtension(task.kernel, extension);
      default:
        return 0;
    }
  }

  /** iommufd_vfio_iommu_get_info. */
  *getInfo(task: Task): KernelStep<Errno | IommuInfo> {
    if (!this.ioas) return task.refuse('ENODEV', NO_IOAS);
    const { hardware } = this.ioas;
    return {
      pageSizes: hardware.reduce(
        (sizes, iommu) => sizes & pageSizesOf(iommu, task.kernel.gen),
        ANY_PAGE_SIZE,
      ),
      dmaAvail: DMA_AVAIL,
      migration: null,
      iovaRanges: hardware.length > 0 ? usableRanges(hardware) : [ALL_IOVA],
    };
  }

  /** iommufd_vfio_map_dma: EINVAL for flags other than READ and WRITE; ENODEV; what iopt_map_user_pages answers. */
  *mapDma(task: Task, { iova, vaddr, size, flags }: MapDmaArgs): KernelStep<Errno | null> {
    if ((flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) !== 0) {
      return task.refuse('EINVAL', `flags ${hex(BigInt(flags))} has others than READ and WRITE`);
    }
    if (!this.ioas) return task.refuse('ENODEV', NO_IOAS);
    return ioptMapUserPages(task, this.ioas, { iova, vaddr, size, prot: flags });
  }

  /**
   * iommufd_vfio_unmap_dma.
   *
   * @returns EINVAL for flags other than ALL, and for ALL with a range; ENODEV; after type 1 what cutting answers (with
   *   no size); what iopt_unmap_iova answers
   */
  *unmapDma(task: Task, { iova, size, flags }: UnmapDmaArgs): KernelStep<UnmapDmaResult> {
    if ((flags & ~VFIO_DMA_UNMAP_FLAG_ALL) !== 0) {
      return task.refuse('EINVAL', `flags ${hex(BigInt(flags))} has others than ALL`);
    }
    const { ioas } = this;
    if (!ioas) return task.refuse('ENODEV', NO_IOAS);
    if (flags & VFIO_DMA_UNMAP_FLAG_ALL) {
      if (iova !== 0n || size !== 0n) return task.refuse('EINVAL', 'the flag all wants iova 0 and size 0');
      return writeBack(task, yield* ioptUnmapAll(task, ioas));
    }
    const errno = ioas.disableLargePages ? ioptCutIova(task, ioas, cutsOf(iova, size)) : null;
    if (errno) return errno;
    const result = yield* ioptUnmapIova(task, ioas, iova, size);
    if (typeof result === 'string') return result;
    if (!result.errno) adviseUnmapped(task, ioas, iova, size, result.size);
    return writeBack(task, result);
  }

  dirtyPages(task: Task): KernelStep<Errno> {
    return refused(task, 'ENOTTY', 'iommufd serves no VFIO_IOMMU_DIRTY_PAGES');
  }

  *release(task: Task): KernelStep<void> {
    if (this.groups.length === 0) yield* this.put(task, false);
  }

  /** The IOAS is made with the first group; nothing is attached to it before the device is opened. */
  *attachGroup(task: Task, group: Group): KernelStep<Errno | null> {
    if (!group.noIommu) this.iommu.compatIoasCreate();
    else if (this.ioas)
      return task.refuse('EINVAL', 'the container has an IOAS: no group without an IOMMU can join');
    group.container = this;
    group.containerUsers = 1;
    this.groups.unshift(group);
    return null;
  }

  /** Never refused: an open device stays with the IOAS (fd-unset-open). */
  *detachGroup(task: Task, group: Group): KernelStep<Errno | null> {
    this.groups.splice(this.groups.indexOf(group), 1);
    group.container = null;
    group.containerUsers = 0;
    yield* this.put(task, this.open);
    return null;
  }

  /**
   * vfio_df_group_open: the device is bound and its driver's open_device runs, then it is attached to the IOAS; where
   * that fails its close_device runs.
   *
   * @returns what open_device or the attaching says
   */
  *openDevice(task: Task, device: Device): KernelStep<Errno | null> {
    const { kernel } = task;
    if (device.openCount > 0) {
      device.openCount++;
      return null;
    }
    const refused = this.iommu.bind(task, device);
    if (refused) return refused;
    device.openCount++;
    device.openedThrough = this;
    let errno = yield* kernel.openDevice(task, device);
    if (!errno) {
      errno = this.iommu.attach(task, device);
      if (errno) yield* kernel.closeDevice(task, device);
    }
    if (errno) {
      yield* this.iommu.unbind(task, device);
      device.openCount--;
      device.openedThrough = null;
    }
    return errno;
  }

  /** vfio_df_group_close: with the last file the driver's close_device runs, then the attachment is destroyed. */
  *closeDevice(task: Task, device: Device): KernelStep<void> {
    if (device.openCount === 1) {
      yield* task.kernel.closeDevice(task, device);
      this.ioas?.shadow.closed(task, this.ioas, device);
      yield* this.iommu.unbind(task, device);
    }
    device.openCount--;
    yield* this.put(task, this.open);
  }

  save(list: ListOf): SavedEngine {
    const { iommu, ioas } = this;
    return { lock: null, iommu: null, ioas: ioas && saveIoas(iommu, ioas, this.process.owner, list) };
  }

  *restore({ lock, iommu, ioas, groups }: SavedContainer, where: string): Generator<void, void> {
    if (lock || iommu) throw wrong(where, 'has a lock or an iommu, but iommufd provides it');
    if (ioas === undefined) throw wrong(`${where}/ioas`, 'is missing: iommufd provides the container');
    if (ioas) yield* restoreIoas(this.kernel, this, ioas, `${where}/ioas`);
    else if (groups.length > 0 && !this.noIommu)
      throw wrong(`${where}/ioas`, 'is null, but the container has a group');
  }

  /** Its devices have been taken with the IOAS. */
  restoreOpenDevice({ id, openCount, openedThrough }: Device, where: string): void {
    if (!openedThrough) throw wrong(where, `is ${openCount}, but "${id}" is in no container's ioas`);
  }

  holders(): Set<number> {
    return this.ioas ? holdersIn(this.ioas) : new Set();
  }

  owners(): Iterable<MappingOwner> {
    const areas = this.ioas?.areas;
    return areas ? Array.from(areas.inOrder(), (slot) => areas.pages(slot).owner) : [];
  }

  *chargedPages(): Generator<void, ReadonlyMap<Mm, number>> {
    return this.ioas ? yield* chargedPages(this.ioas) : new Map();
  }

  readonly hasDirtyScope: boolean = false;

  /** The last close waits for the device's callbacks, and one of them may have died. */
  override refuseIfOpenHangs(device: Device, at: 0 | 1): void {
    if (at === 1 && device.openCount === 1) this.iommu.devices.get(device)?.shorttermUsers.refuseIfWedged();
  }

  /** One holder of the context less; with the last one it is released. */
  private *put(task: Task, open: boolean): KernelStep<void> {
    if (open || this.groups.length > 0 || this.iommu.devices.size > 0) return;
    yield* this.iommu.release(task);
  }
}

/** The size goes back to the caller also where the unmap has failed. */
function writeBack(task: Task, { size, errno }: IovaUnmapped): UnmapDmaResult {
  if (!errno) return { size, bitmap: null };
  task.writtenBack = { size };
  return errno;
}
