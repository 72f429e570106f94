import { type DeviceKind, GONE_MAX } from '../../schemas/kinds.ts';
import { Budget } from '../budget.ts';
import { Counted } from './counted.ts';
import type { DriverApi, DriverTask, MdevDriver, NotifyResult } from './driver.ts';
import { TaskDriverApi, TaskDriverTask } from './driver-api.ts';
import { DriverOps } from './driver-ops.ts';
import { EmulatedMemory } from './emulated-memory.ts';
import { ENGINES } from './engines.ts';
import type { Errno } from './errno.ts';
import { OpenFile } from './files.ts';
import type { Generation } from './generations/generation.ts';
import { type GuestId, ownGuestId } from './guest.ts';
import type { IommuHardware } from './iommu/hardware.ts';
import type { ProcessMemory } from './memory.ts';
import { Mm } from './mm.ts';
import { Process } from './process.ts';
import type { RestoredProcesses } from './saved/owner.ts';
import { Scheduler } from './scheduler.ts';
import { PROPOSALS } from './splats.ts';
import type { KernelStep, Task } from './task.ts';
import type { Container } from './vfio/container.ts';
import { releaseContainer } from './vfio/container-file.ts';
import { Device } from './vfio/device.ts';
import { Group } from './vfio/group.ts';

/** What one host may use up. */
export interface KernelLimits {
  /** Dirty bitmaps of all containers, bytes. */
  readonly dirtyBitmapBytes: number;
  /** Pages of a process's memory with contents of their own. */
  readonly residentPages: number;
  /** The same of all processes of a host, and of the memory of devices. */
  readonly rigPages: number;
  /** Bytes that mappings, pins, memory regions and descriptors take, over all containers and processes. */
  readonly objectBytes: number;
  /** References to pages that drivers hold, over all containers. */
  readonly pins: number;
  /** Memory regions of one process. */
  readonly regions: number;
  /** Descriptors of one process (RLIMIT_NOFILE). */
  readonly files: number;
}

/** What a host takes of memory, counted where it is taken, or what all hosts may take together. */
export interface KernelBudgets {
  /** Pages with contents of their own. */
  readonly pages: Budget;
  /** Bytes that the dirty bitmaps of all containers take in a kernel. */
  readonly dirtyBitmaps: Budget;
  /** Bytes that mappings, pins, memory regions and descriptors take here. */
  readonly objects: Budget;
}

/** What one takes in this process, bytes: measured, with what is not in use of a table that has grown. */
const PIN_BYTES = 64;
const MAPPING_BYTES = 128;
const REGION_BYTES = 256;
const DESCRIPTOR_BYTES = 128;

/** Default of the module parameter dma_entry_limit. */
const DMA_ENTRY_LIMIT = 65535;

/**
 * One emulated kernel: its objects by id, its parameters, its taint and the state of its once-only warnings.
 *
 * It is pure: no I/O, clock or randomness; the same calls give the same answers.
 */
export class Kernel implements KernelBudgets {
  readonly processes = new Map<string, Process>();
  readonly containers = new Map<string, Container>();
  readonly devices = new Map<string, Device>();
  readonly scheduler: Scheduler = new Scheduler();
  /** Module parameter dma_entry_limit; counts for instances made from now on. */
  dmaEntryLimit = DMA_ENTRY_LIMIT;
  /** Module parameter allow_unsafe_interrupts, looked at whenever a group behind an IOMMU is attached. */
  allowUnsafeInterrupts = false;
  /** Module parameter enable_unsafe_noiommu_mode, looked at by binds, CHECK_EXTENSION and SET_IOMMU. */
  enableUnsafeNoiommuMode = false;
  /** The thread's proposal: warn after a round that leaves pins (P2). */
  warnOnPinnedUnmap = false;
  /** Whether an unmap beside open devices that calls nobody back says why (NO_CALLBACK). */
  adviseNoCallback = false;
  /** Whether it is put in words why a call is refused, and what a finding is about. Where nobody reads, it need not. */
  hasWords = true;
  /** Fault injection: whether the next callback to a device returns without the driver having seen it. */
  dropsCallback: (device: Device) => boolean = () => false;
  /** Taint flags set so far: `W` after a warning, `D` after a BUG, `U` of a device without an IOMMU. */
  readonly taint = new Set<'W' | 'D' | 'U'>();
  /** Once-only warnings that have been printed: ids, with the caller where each has a flag of its own. */
  readonly fired = new Set<string>();
  /** What drivers did that answers show. */
  readonly ops = new DriverOps();
  /** Its processes while it is being restored, by number; null: it is not. */
  restored: RestoredProcesses | null = null;
  /** Devices that were removed last: who names one means its group's file, which may still be open. */
  readonly gone = new Map<string, Device>();
  /** Files of groups that somebody has open, oldest first: those of groups without devices as well. */
  readonly groupFiles = new Set<OpenFile>();
  /** Ids of devices by number, also of those that are gone: pins may still be theirs. */
  readonly deviceNames = new Map<number, string>();
  /** What all devices of a driver model share, by the model's type: its hardware, its workqueue. */
  readonly modelHosts = new Map<string, object>();
  /** References to pages that drivers hold, over all containers. */
  readonly references: Counted;
  readonly mappings: Counted;
  /** Memory regions of all processes. */
  readonly regions: Counted;
  /** Descriptors of all processes. */
  readonly descriptors: Counted;
  readonly pages: Budget;
  readonly dirtyBitmaps: Budget;
  readonly objects: Budget;
  /** Devices made so far: the next one's number. */
  deviceCount = 0;
  /** Calls made so far. */
  callCount = 0;
  /** Processes made so far, and memories: the next one's number. */
  processCount = 0;
  mmCount = 0;

  /** @param all what all kernels may have together */
  constructor(
    readonly gen: Generation,
    readonly limits: KernelLimits,
    all: KernelBudgets | null = null,
  ) {
    this.pages = new Budget(limits.rigPages, all?.pages);
    this.dirtyBitmaps = new Budget(limits.dirtyBitmapBytes, all?.dirtyBitmaps);
    this.objects = new Budget(limits.objectBytes, all?.objects);
    this.references = new Counted('pins', PIN_BYTES, this.objects);
    this.mappings = new Counted('mappings', MAPPING_BYTES, this.objects);
    this.regions = new Counted('memory regions', REGION_BYTES, this.objects);
    this.descriptors = new Counted('open files', DESCRIPTOR_BYTES, this.objects);
    this.createProcess('p0');
  }

  /** Ids of the once-only warnings that have fired, sorted. */
  get firedOnce(): string[] {
    return [...this.fired].sort();
  }

  /** Makes a process; its memory is emulated unless given. */
  createProcess(id: string, memory: ProcessMemory = this.newMemory()): Process {
    const process = new Process(id, this.processCount++, this.newMm(memory), this.descriptors);
    this.processes.set(id, process);
    return process;
  }

  /** Nothing of it counts any more in what all kernels take. */
  closeBudgets(): void {
    this.pages.close();
    this.dirtyBitmaps.close();
    this.objects.close();
  }

  newMemory(): EmulatedMemory {
    return new EmulatedMemory(this.limits.residentPages, this.limits.regions, this.pages, this.regions);
  }

  newMm(memory: ProcessMemory): Mm {
    return new Mm(this.mmCount++, memory);
  }

  /** vfio_fops_open. */
  openContainer(id: string, process: Process): Container {
    const container = this.makeContainer(id, process);
    container.file = new OpenFile(container, process, (task) => releaseContainer(task, container));
    process.files.add(container.file);
    return container;
  }

  /** A container without a file. */
  makeContainer(id: string, process: Process): Container {
    const container = ENGINES[this.gen.containerOf].openContainer(this, id, process);
    this.containers.set(id, container);
    return container;
  }

  /** The group of that id, where a device of it is there already; otherwise a new one. */
  groupOf(id: string, iommu: IommuHardware | null, noIommu = false): Group {
    for (const { group } of this.devices.values()) if (group.id === id) return group;
    return new Group(id, iommu, noIommu);
  }

  createDevice(id: string, kind: DeviceKind, driver: MdevDriver, group: Group): Device {
    return this.restoreDevice(id, this.deviceCount++, kind, driver, group);
  }

  /** A device with the number it had. */
  restoreDevice(id: string, number: number, kind: DeviceKind, driver: MdevDriver, group: Group): Device {
    const device = new Device(id, number, kind, driver, group);
    this.deviceNames.set(number, id);
    this.devices.set(id, device);
    driver.attachTo?.(device);
    return device;
  }

  /** A device is there no longer. Pins may still be its. */
  forget(device: Device): void {
    const { id, group } = device;
    this.devices.delete(id);
    this.gone.delete(id);
    this.gone.set(id, device);
    if (this.gone.size > GONE_MAX) this.gone.delete(this.gone.keys().next().value!);
    group.devices.splice(group.devices.indexOf(device), 1);
  }

  /** The guest that a device's group was given to; unless somebody said otherwise, a guest of its own. */
  guestOf({ id, group }: Device): GuestId | null {
    return group.guest === undefined ? ownGuestId(id) : group.guest;
  }

  /** Gives a device's group to a guest, or takes it back (vfio_file_set_kvm). */
  giveTo(device: Device, guest: GuestId | null): void {
    const { group } = device;
    group.lastGuest = this.guestOf(device) ?? group.lastGuest;
    group.guest = guest;
  }

  /** The guest whose vCPUs reach a device: the one that has its group, or had it last. */
  vcpuGuest(device: Device): GuestId {
    return this.guestOf(device) ?? device.group.lastGuest ?? ownGuestId(device.id);
  }

  deviceName(number: number): string {
    return this.deviceNames.get(number)!;
  }

  /**
   * Begins the device's dma_unmap within the task (`inDmaUnmap`, until whoever called it says otherwise); or the BUG_ON
   * (P1) that its driver asked for.
   *
   * @returns null where the driver has not seen it
   */
  dmaUnmap(task: Task, device: Device, iova: bigint, length: bigint): KernelStep<NotifyResult | void> | null {
    task.inDmaUnmap = device;
    if (device.driver.config?.bugOnInvalidation) {
      task.bug(PROPOSALS.P1, { device: device.id, iova, size: length });
    }
    if (device.driver.showsCalls) this.ops.note({ list: null, entry: {}, task, worker: false });
    if (this.dropsCallback(device)) return null;
    return device.driver.dmaUnmap(this.driverApi(task, device), iova, length);
  }

  /** open_device and close_device of the device's driver, within the task. */
  openDevice(task: Task, device: Device): KernelStep<Errno | null> {
    return device.driver.openDevice(this.driverApi(task, device));
  }

  closeDevice(task: Task, device: Device): KernelStep<void> {
    if (device.kind === 'mdev') noteEffect(task, 'closedDevices', device.id);
    return device.driver.closeDevice(this.driverApi(task, device));
  }

  /** What a driver of a type can do within one task that is for no device. */
  driverTask(task: Task, type: string): DriverTask {
    return new TaskDriverTask(task, type);
  }

  /** The driver API for one device within one task. */
  driverApi(task: Task, device: Device): DriverApi {
    return new TaskDriverApi(task, device);
  }
}

/** Notes what a driver was called for. */
export function noteEffect(task: Task, list: 'closedDevices' | 'requests', device: string): void {
  task.effects ??= {};
  task.effects[list] ??= [];
  task.effects[list].push(device);
}
