import type { SavedContainer } from '../../../schemas/snapshot/vfio.ts';
import { NOIOMMU_TYPE, VFIO_UNMAP_ALL } from '../../../schemas/uapi.ts';
import type { Errno } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import { Lock } from '../lock.ts';
import type { Mm } from '../mm.ts';
import { hex } from '../pages.ts';
import type { MappingOwner, Process } from '../process.ts';
import { wrong } from '../saved/checks.ts';
import { restoreLock, saveLock } from '../saved/lock.ts';
import { restoreOwner, saveOwner } from '../saved/owner.ts';
import type { KernelStep, Task } from '../task.ts';
import { Container, type ListOf, refused, type SavedEngine } from './container.ts';
import type { Device } from './device.ts';
import { type Group, heldOpenBy, namesOf, refuseRawIo } from './group.ts';
import { counted } from './history.ts';
import type {
  DirtyRange,
  IommuDriver,
  IommuInfo,
  IommuOps,
  MapDmaArgs,
  UnmapDmaArgs,
  UnmapDmaResult,
  UserBitmap,
} from './iommu-ops.ts';
import type { IommuView } from './iommu-view.ts';

/** The classic container (struct vfio_container, container.c): hands its ioctls to one IOMMU driver's instance. */
export class ClassicContainer extends Container {
  /** The instance, once SET_IOMMU has succeeded (`iommu_data`). */
  iommu: IommuOps | null = null;
  /** `group_lock`. */
  readonly groupLock: Lock;

  constructor(
    private readonly kernel: Kernel,
    id: string,
    process: Process,
    /** Type 1's driver, and that of groups without an IOMMU (`vfio.iommu_drivers_list`). */
    private readonly drivers: readonly [type1: IommuDriver, noIommu: IommuDriver],
  ) {
    super(id, process);
    this.groupLock = new Lock(`container ${id} group_lock`);
  }

  get view(): IommuView | null {
    return this.iommu?.view ?? null;
  }

  /**
   * vfio_ioctl_set_iommu.
   *
   * @returns EINVAL without a group, with a driver set already, or for type 9; ENODEV for a type nobody claims;
   *   what attaching a group answers
   */
  *setIommu(task: Task, type: number): KernelStep<Errno | null> {
    yield* task.lock(this.groupLock);
    const errno = yield* this.openDriver(task, type);
    task.unlock(this.groupLock);
    return errno;
  }

  private *openDriver(task: Task, type: number): KernelStep<Errno | null> {
    if (this.groups.length === 0) return task.refuse('EINVAL', noGroup(this));
    if (this.iommu) return task.refuse('EINVAL', 'the container has an IOMMU already');
    const driver = this.drivers[this.noIommu ? 1 : 0];
    if (driver.checkExtension(task, type) <= 0) {
      return task.refuse('ENODEV', `no IOMMU driver claims type ${type}`);
    }
    const refused = this.noIommu ? refuseRawIo(task) : null;
    if (refused) return refused;
    if (type === VFIO_UNMAP_ALL) {
      return task.refuse('EINVAL', 'type 9 is an extension, not an IOMMU type');
    }
    const iommu = driver.open(this.kernel, this, type);
    const attached: Group[] = [];
    for (const group of this.groups) {
      const errno = yield* iommu.attachGroup(task, group);
      if (errno) {
        for (const done of attached.reverse()) yield* iommu.detachGroup(task, done);
        return errno;
      }
      attached.push(group);
    }
    this.iommu = iommu;
    this.history.noteIommu();
    return null;
  }

  *checkExtension(task: Task, extension: number): KernelStep<number> {
    yield* task.lock(this.groupLock);
    const value = this.iommu
      ? yield* this.iommu.checkExtension(task, extension)
      : this.askDrivers(task, extension);
    task.unlock(this.groupLock);
    return value;
  }

  /** Whether its groups have no IOMMU (`noiommu`). */
  private get noIommu(): boolean {
    return this.groups[0]?.noIommu ?? false;
  }

  /** The first driver that has an extension, of those that its groups may have. */
  private askDrivers(task: Task, extension: number): number {
    const [type1, noIommu] = this.drivers;
    const possible = this.groups.length === 0 ? this.drivers : [this.noIommu ? noIommu : type1];
    for (const driver of possible) {
      const value = driver.checkExtension(task, extension);
      if (value > 0) return value;
    }
    return 0;
  }

  getInfo(task: Task): KernelStep<Errno | IommuInfo> {
    return this.iommu?.getInfo(task) ?? refused(task, 'EINVAL', this.whyNoIommu);
  }
  mapDma(task: Task, args: MapDmaArgs): KernelStep<Errno | null> {
    return this.iommu?.mapDma(task, args) ?? refused(task, 'EINVAL', this.whyNoIommu);
  }
  unmapDma(task: Task, args: UnmapDmaArgs): KernelStep<UnmapDmaResult> {
    return this.iommu?.unmapDma(task, args) ?? refused(task, 'EINVAL', this.whyNoIommu);
  }
  dirtyPages(task: Task, flags: number, range: DirtyRange | null): KernelStep<Errno | UserBitmap | null> {
    return this.iommu?.dirtyPages(task, flags, range) ?? refused(task, 'EINVAL', this.whyNoIommu);
  }

  /** vfio_fops_release. */
  *release(task: Task): KernelStep<void> {
    if (this.iommu) yield* this.iommu.containerCloses(task);
  }

  /** vfio_container_attach_group. */
  *attachGroup(task: Task, group: Group): KernelStep<Errno | null> {
    yield* task.lock(this.groupLock);
    const errno = this.iommu ? yield* this.iommu.attachGroup(task, group) : null;
    if (errno === null) {
      group.container = this;
      group.containerUsers = 1;
      this.groups.unshift(group);
    }
    task.unlock(this.groupLock);
    return errno;
  }

  /** vfio_group_detach_container: EBUSY while a device file is open. The last group takes the instance with it. */
  *detachGroup(task: Task, group: Group, released: boolean): KernelStep<Errno | null> {
    if (!released && group.containerUsers !== 1) return task.refuse('EBUSY', () => heldOpenBy(group));
    yield* task.lock(this.groupLock);
    const mappings = this.iommu?.view.mappingCount ?? 0;
    const last = this.groups.length === 1;
    if (this.iommu && last) this.adviseLoss(task, group, mappings);
    if (this.iommu) yield* this.iommu.detachGroup(task, group);
    this.groups.splice(this.groups.indexOf(group), 1);
    group.container = null;
    group.containerUsers = 0;
    if (this.iommu && last) {
      this.history.noteLoss(
        task,
        group.devices.map(({ id }) => id),
        mappings,
      );
      this.iommu = null;
    }
    task.unlock(this.groupLock);
    return null;
  }

  /** The last group takes the IOMMU along, and what is mapped, while the container's file stays. */
  private adviseLoss(task: Task, group: Group, mappings: number): void {
    if (!this.open || mappings === 0) return;
    const [first] = this.iommu!.view.mappings();
    const devices = group.devices.map(({ id }) => id);
    task.advise('IOMMU_LOST', devices, first!.iova, () => {
      const went = `${counted(mappings, 'mapping')}, the first ${hex(first!.iova)}+${hex(first!.size)}`;
      return `${namesOf(group)} was the last in container ${this.id}, which loses its IOMMU and with it ${went}`;
    });
  }

  /**
   * vfio_group_use_container and what follows it: the driver's open_device runs at the first open, and the device
   * is registered with the instance after it (from 6.2: before it).
   *
   * @returns EINVAL without an instance; what open_device says
   */
  *openDevice(task: Task, device: Device): KernelStep<Errno | null> {
    const { group } = device;
    const { kernel } = task;
    if (!this.iommu) return task.refuse('EINVAL', this.whyNoIommu);
    group.containerUsers++;
    device.openCount++;
    device.openedThrough ??= this;
    if (device.openCount > 1) return opensEachFile(task, device) ? yield* this.openAgain(task, device) : null;
    const { registersBeforeOpen } = kernel.gen.core;
    if (registersBeforeOpen) yield* this.iommu.registerDevice(task, device);
    const errno = yield* kernel.openDevice(task, device);
    if (errno) {
      if (registersBeforeOpen) yield* this.iommu.unregisterDevice(task, device);
      device.openCount--;
      device.openedThrough = null;
      group.containerUsers--;
      return errno;
    }
    if (!registersBeforeOpen) yield* this.iommu.registerDevice(task, device);
    return null;
  }

  /** Its driver registers its two notifiers with each file; one that is registered is not again, with a warning. */
  private *openAgain(task: Task, device: Device): KernelStep<Errno | null> {
    if (this.isRegistered(device)) {
      for (let block = 0; block < 2; block++) task.warn('N1', { device: device.id });
    } else yield* this.iommu!.registerDevice(task, device);
    const errno = yield* task.kernel.openDevice(task, device);
    if (errno) {
      device.openCount--;
      device.group.containerUsers--;
    }
    return errno;
  }

  private isRegistered({ id }: Device): boolean {
    return this.iommu!.view.devices.includes(id);
  }

  /** With the last file the driver's close_device runs, then the device is unregistered. */
  *closeDevice(task: Task, device: Device): KernelStep<void> {
    if (device.openCount === 1 || opensEachFile(task, device)) {
      yield* task.kernel.closeDevice(task, device);
      if (!device.driver.opensEachFile || this.isRegistered(device)) {
        yield* this.iommu!.unregisterDevice(task, device);
      }
    }
    device.openCount--;
    device.group.containerUsers--;
  }

  save(list: ListOf): SavedEngine {
    const { iommu } = this;
    const noIommu = iommu?.view.type === NOIOMMU_TYPE ? { noIommu: true as const } : {};
    const owner = iommu?.owner && saveOwner(iommu.owner, this.process.owner);
    return {
      lock: saveLock(this.groupLock),
      iommu: iommu?.save(list) ?? null,
      ...noIommu,
      ...(owner ? { owner } : {}),
    };
  }

  *restore({ lock, iommu, ioas, noIommu, owner }: SavedContainer, where: string): Generator<void, void> {
    if (ioas !== undefined) throw wrong(`${where}/ioas`, 'is for a kernel whose containers iommufd provides');
    restoreLock(this.kernel, this.groupLock, lock, `${where}/lock`);
    this.mappingOwner = restoreOwner(this.kernel, owner, this.process.owner, `${where}/owner`);
    if (iommu) this.iommu = yield* this.drivers[0].restore(this.kernel, this, iommu, `${where}/iommu`);
    else if (noIommu) this.iommu = this.drivers[1].open(this.kernel, this, NOIOMMU_TYPE);
  }

  restoreOpenDevice(device: Device, where: string): void {
    const { id, openCount, group } = device;
    if (!this.iommu) throw wrong(where, `is ${openCount}, but "${id}" is in no container with an iommu`);
    group.containerUsers = Math.max(1, group.containerUsers) + openCount;
    device.openedThrough = this;
    this.iommu.checkRestored(device, where);
  }

  holders(): Set<number> {
    return this.iommu?.holders() ?? new Set();
  }

  owners(): Iterable<MappingOwner> {
    return this.iommu?.owners?.() ?? [];
  }

  *chargedPages(): Generator<void, ReadonlyMap<Mm, number>> {
    return this.iommu ? yield* this.iommu.chargedPages() : new Map();
  }

  get hasDirtyScope(): boolean {
    return this.iommu !== null;
  }

  override *unregisterNotifier(task: Task, device: Device): KernelStep<void> {
    if (this.isRegistered(device)) yield* this.iommu!.unregisterNotifier(task, device);
  }

  override refuseIfDetachHangs(): void {
    this.groupLock.refuseIfWedged();
    this.iommu?.refuseIfDetachHangs();
  }

  /** Registering and unregistering, at the first open and the last close, need the lock of the device list. */
  override refuseIfOpenHangs(device: Device, at: 0 | 1): void {
    if (device.driver.hasDmaUnmap && device.openCount === at) this.iommu?.refuseIfRegistrationHangs();
  }
}

function noGroup({ history: { loss } }: Container): string {
  return `the container has no group${loss ? `: it ${loss}` : ''}`;
}

/** mdev calls the driver's open and release for each device file. */
function opensEachFile({ kernel }: Task, { driver }: Device): boolean {
  return kernel.gen.core.opensEachFile && driver.opensEachFile === true;
}
