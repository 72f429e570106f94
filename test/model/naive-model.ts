import { type DriverConfig, NaiveDriver } from './naive-driver.ts';
import { NaiveProcess } from './naive-process.ts';
import { type Mapping, NaiveType1 } from './naive-type1.ts';
import {
  big,
  type Call,
  isAligned,
  Killed,
  keys,
  NotFound,
  type Outcome,
  PAGE,
  type Result,
  TOP,
  type Trail,
  Wedged,
} from './naive-values.ts';

interface Container {
  id: string;
  process: NaiveProcess;
  open: boolean;
  /** Attached devices' groups, newest first. */
  groups: Device[];
  iommu: NaiveType1 | null;
}

/** A device and its group. */
interface Device {
  id: string;
  driver: NaiveDriver;
  opens: number;
  groupFd: boolean;
  groupFile: boolean;
  container: Container | null;
}

/** The most pages one pin or unpin may name. */
const NPAGE_MAX = 512;

/**
 * A second, naive VFIO host of Linux 6.1, written from the kernel contract and sharing no code with src/:
 * bigints, a flat map of pages, arrays that are sorted when they are needed. It knows containers with
 * emulated groups only, and only cases in which the shape of the kernel's mapping tree cannot be seen
 * (`inScope` says which those are). Section numbers are those of the contract.
 */
export class NaiveHost {
  readonly processes = new Map<string, NaiveProcess>([['p0', new NaiveProcess()]]);
  readonly containers = new Map<string, Container>();
  readonly devices = new Map<string, Device>();
  private dmaEntryLimit = 65535;
  /** Conditions of the WARN_ON_ONCEs that have fired. */
  private readonly fired = new Set<string>();
  private trail: Trail = { invalidations: [], log: [] };

  /** Runs one call. */
  apply(call: Call): Outcome {
    this.trail = { invalidations: [], log: [] };
    const outcome = (how: Outcome['end'], result: Result): Outcome => ({
      end: how,
      errno: typeof result === 'string' ? result : null,
      body: typeof result === 'string' ? {} : result,
      ...this.trail,
    });
    try {
      return outcome('returned', this.run(call));
    } catch (error) {
      if (error instanceof Killed) return outcome('killed', {});
      if (error instanceof Wedged) return outcome('wedged', {});
      if (error instanceof NotFound) return outcome('not found', {});
      throw error;
    }
  }

  /** The mappings of a container, lowest first. */
  mappingsOf(container: string | undefined): Mapping[] {
    return this.containers.get(container ?? '')?.iommu?.mappings() ?? [];
  }

  /**
   * Whether the mapping tree's shape stays invisible: no mapping ends at 2^64, and no pin's 4096 bytes lie in
   * two mappings or begin below the one they lie in.
   */
  inScope(call: Call): boolean {
    if (call.call === 'map-dma') {
      const iova = big(call.iova);
      if (iova + big(call.size) >= TOP) return false;
      // A pin that reaches from its mapping's end into a hole must not come to straddle two mappings.
      const pins = this.mappingsOf(String(call.container)).flatMap((m) => m.pins);
      return !pins.some(({ key }) => key < iova && key + PAGE > iova);
    }
    const iommu = this.devices.get(String(call.device))?.container?.iommu;
    if (call.call !== 'pin-pages' || !iommu || isAligned(big(call.iova))) return true;
    const npage = Math.min(call.npage as number, NPAGE_MAX);
    return !keys(big(call.iova), npage).some((key) => iommu.straddles(key));
  }

  private run(call: Call): Result {
    switch (call.call) {
      case 'set-parameters':
        this.dmaEntryLimit = call.dmaEntryLimit as number;
        return {};
      case 'create-process':
        this.processes.set(String(call.process), new NaiveProcess());
        return {};
      case 'open-container': {
        const id = String(call.container);
        const process = this.find(this.processes, call.process ?? 'p0');
        if (this.containers.has(id)) return 'EEXIST';
        this.containers.set(id, { id, process, open: true, groups: [], iommu: null });
        return {};
      }
      case 'create-device': {
        const id = String(call.device);
        if (this.devices.has(id)) return 'EEXIST';
        const driver = new NaiveDriver(call.driver as DriverConfig);
        const closed = { opens: 0, groupFd: false, groupFile: false, container: null };
        this.devices.set(id, { id, driver, ...closed });
        return {};
      }
    }
    if (call.process !== undefined) return onProcess(this.find(this.processes, call.process), call);
    if (call.device !== undefined) return this.onDevice(this.find(this.devices, call.device), call);
    return this.onContainer(this.find(this.containers, call.container), call);
  }

  private find<T>(objects: Map<string, T>, id: unknown): T {
    const found = objects.get(String(id));
    if (!found) throw new NotFound();
    return found;
  }

  private onContainer(container: Container, call: Call): Result {
    if (!container.open) return 'EBADF';
    const { iommu } = container;
    switch (call.call) {
      case 'close-container':
        // Type1 is told of it, under its lock.
        iommu?.lock();
        container.open = false;
        this.collect(container);
        return {};
      case 'set-iommu':
        return this.setIommu(container, call.type as number);
      case 'check-extension': {
        const asked = call.extension as number;
        if (asked === 4 || asked === 10) iommu?.lock();
        return { value: [1, 3, 6, 9].includes(asked) || (asked === 4 && iommu) ? 1 : 0 };
      }
    }
    if (!iommu) return 'EINVAL';
    switch (call.call) {
      case 'iommu-info':
        iommu.lock();
        return { dmaAvail: iommu.dmaAvail };
      case 'map-dma':
        return iommu.map(call);
      case 'unmap-dma':
        return iommu.unmap(call);
      case 'dirty-start':
        return iommu.track(true);
      case 'dirty-stop':
        return iommu.track(false);
      case 'dirty-get':
        return iommu.dirtyGet(call);
    }
    throw new Error(`no model of ${call.call}`);
  }

  /** 1.5. */
  private setIommu(container: Container, type: number): Result {
    if (container.groups.length === 0 || container.iommu || type === 9) return 'EINVAL';
    if (![1, 3, 6].includes(type)) return 'ENODEV';
    container.iommu = new NaiveType1(type, container.process, this.dmaEntryLimit, () => this.trail);
    return {};
  }

  private collect(container: Container): void {
    if (!container.open && container.groups.length === 0) this.containers.delete(container.id);
  }

  private onDevice(device: Device, call: Call): Result {
    const { driver } = device;
    switch (call.call) {
      case 'open-group':
        if (device.groupFile) return 'EBUSY';
        device.groupFd = true;
        device.groupFile = true;
        return {};
      case 'close-group':
        if (!device.groupFd) return 'EBADF';
        if (device.opens === 0) this.releaseGroup(device);
        device.groupFd = false;
        return {};
      case 'set-container': {
        const container = this.find(this.containers, call.container);
        if (!device.groupFd || !container.open) return 'EBADF';
        if (device.container) return 'EINVAL';
        container.iommu?.lock();
        device.container = container;
        container.groups.unshift(device);
        return {};
      }
      case 'unset-container':
        if (!device.groupFd) return 'EBADF';
        if (!device.container) return 'EINVAL';
        if (device.opens > 0) return 'EBUSY';
        this.detach(device);
        return {};
      case 'group-status':
        return device.groupFd ? { value: device.container ? 3 : 1 } : 'EBADF';
      case 'open-device':
        return this.openDevice(device);
      case 'close-device':
        return this.closeDevice(device);
      case 'pin-pages':
        return this.pin(device, big(call.iova), call.npage as number, call.prot as number);
      case 'unpin-pages': {
        const npage = call.npage as number;
        this.unpin(device, big(call.iova), npage);
        if (npage <= NPAGE_MAX) driver.forget(keys(big(call.iova), npage));
        return {};
      }
      case 'dma-rw':
        if (call.length === 0 || !this.isOpen(device)) return 'EINVAL';
        return device.container!.iommu!.dmaRw(call);
      case 'set-driver': {
        const config = call.driver as DriverConfig;
        // A driver's operations do not change under an open device.
        if (device.opens > 0 && (config.onDmaUnmap !== 'no-callback') !== driver.listens) return 'EBUSY';
        driver.config = config;
        return {};
      }
    }
    throw new Error(`no model of ${call.call}`);
  }

  /** 1.7. */
  private openDevice(device: Device): Result {
    if (!device.groupFd) return 'EBADF';
    const iommu = device.container?.iommu;
    if (!iommu) return 'EINVAL';
    if (device.opens === 0) this.firstOpen(device, iommu);
    device.opens++;
    return {};
  }

  private firstOpen(device: Device, iommu: NaiveType1): void {
    if (device.driver.listens) {
      iommu.lock();
      const unpin = (key: bigint) => this.unpin(device, key, 1);
      const dmaUnmap = (iova: bigint, length: bigint) => device.driver.dmaUnmap(iova, length, unpin);
      iommu.listening.unshift({ id: device.id, dmaUnmap });
    }
  }

  /** 1.8. */
  private closeDevice(device: Device): Result {
    if (device.opens === 0) return 'EBADF';
    if (device.opens === 1) {
      const { driver } = device;
      const iommu = device.container!.iommu!;
      const unpins = driver.config.unpinOnClose && driver.own.length > 0 && iommu.type !== 1;
      if (driver.listens || unpins || !device.groupFd) iommu.lock();
      driver.close((key) => this.unpin(device, key, 1));
      iommu.listening = iommu.listening.filter((one) => one.id !== device.id);
      if (!device.groupFd) this.releaseGroup(device);
    }
    device.opens--;
    return {};
  }

  private releaseGroup(device: Device): void {
    if (device.container) this.detach(device);
    device.groupFile = false;
  }

  /** 1.9 and 2.3. */
  private detach(device: Device): void {
    const container = device.container!;
    container.iommu?.lock();
    container.groups = container.groups.filter((one) => one !== device);
    device.container = null;
    if (container.groups.length === 0) {
      const what = '!RB_EMPTY_ROOT(&dma->pfn_list)';
      const leaking = container.iommu?.mappings().filter((m) => m.pins.length > 0) ?? [];
      for (const _ of leaking) this.trail.log.push({ kind: 'WARN_ON', what });
      container.iommu = null;
    }
    this.collect(container);
  }

  private isOpen(device: Device): boolean {
    if (device.opens > 0) return true;
    const what = '!READ_ONCE(device->open_count)';
    if (!this.fired.has(what)) this.trail.log.push({ kind: 'WARN_ON_ONCE', what });
    this.fired.add(what);
    return false;
  }

  /** 2.10, the core's part. */
  private pin(device: Device, iova: bigint, npage: number, prot: number): Result {
    if (npage === 0 || !this.isOpen(device)) return 'EINVAL';
    if (npage < 0 || npage > NPAGE_MAX) return 'E2BIG';
    const result = device.container!.iommu!.pin(device.id, iova, npage, prot);
    if (typeof result !== 'string') device.driver.note(keys(iova, npage));
    return result;
  }

  /** 2.11, the core's part. */
  private unpin(device: Device, iova: bigint, npage: number): void {
    const warn = (what: string) => this.trail.log.push({ kind: 'WARN_ON', what });
    if (npage <= 0 || npage > NPAGE_MAX) warn('npage <= 0 || npage > VFIO_PIN_PAGES_MAX_ENTRIES');
    else if (!this.isOpen(device)) warn('!vfio_assert_device_open(device)');
    else device.container!.iommu!.unpin(device.id, iova, npage);
  }
}

/** What a process does with its own memory and limits. */
export function onProcess(process: NaiveProcess, call: Call): Result {
  switch (call.call) {
    case 'add-memory-region':
      process.regions.push({ start: big(call.start), size: big(call.size), prot: call.prot as number });
      return {};
    case 'set-memlock':
      process.limit = call.bytes === 'unlimited' ? null : big(call.bytes);
      process.capIpcLock = call.bytes === 'unlimited';
      return {};
    case 'fill-memory': {
      const length = call.length as number;
      if (process.reachable(big(call.vaddr), length, true) < length) return 'EFAULT';
      process.fill(big(call.vaddr), length, call.byte as number);
      return {};
    }
    case 'read-memory': {
      const length = call.length as number;
      if (process.reachable(big(call.vaddr), length, false) < length) return 'EFAULT';
      return { data: Buffer.from(process.read(big(call.vaddr), length)).toString('base64') };
    }
  }
  throw new Error(`no model of ${call.call}`);
}
