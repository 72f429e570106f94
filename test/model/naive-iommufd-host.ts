import { type DriverConfig, NaiveDriver } from './naive-driver.ts';
import { type Area, type Attached, NaiveIommufd } from './naive-iommufd.ts';
import { onProcess } from './naive-model.ts';
import { NaiveProcess } from './naive-process.ts';
import {
  big,
  type Call,
  hex,
  keys,
  NotFound,
  type Outcome,
  PAGE,
  pageOf,
  type Result,
  type Trail,
} from './naive-values.ts';

interface Container {
  id: string;
  process: NaiveProcess;
  open: boolean;
  /** Devices whose groups are in it, and devices that were opened through it: they hold it as its file does. */
  groups: Set<Device>;
  opened: Set<Device>;
  /** There once a group has been. */
  context: NaiveIommufd | null;
}

/** A device and its group. */
interface Device {
  id: string;
  mdev: boolean;
  driver: NaiveDriver;
  opens: number;
  groupFd: boolean;
  container: Container | null;
  /** Where it was opened. */
  through: Container | null;
  /** What is attached, of an mdev. */
  attached: Attached | null;
}

/**
 * A second, naive VFIO host of Linux 6.12 whose containers iommufd provides; it shares no code with src/. Section
 * numbers are those of the iommufd corrections.
 */
export class NaiveIommufdHost {
  readonly processes = new Map<string, NaiveProcess>([['p0', new NaiveProcess()]]);
  readonly containers = new Map<string, Container>();
  readonly devices = new Map<string, Device>();
  private readonly fired = new Set<string>();
  private trail: Trail = { invalidations: [], log: [] };

  /** Runs one call. */
  apply(call: Call): Outcome {
    this.trail = { invalidations: [], log: [] };
    try {
      const result = this.run(call);
      // Beside an errno the kernel may have written back a size.
      const { errno = null, ...body } = typeof result === 'string' ? { errno: result } : result;
      return { end: 'returned', errno: errno as string | null, body, ...this.trail };
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
      return { end: 'not found', errno: null, body: {}, ...this.trail };
    }
  }

  /** The mappings of a container, lowest first. */
  mappingsOf(container: string | undefined): Area[] {
    const areas = this.containers.get(container ?? '')?.context?.areas ?? [];
    return [...areas].sort((a, b) => (a.iova < b.iova ? -1 : 1));
  }

  private warn(what: string): void {
    this.trail.log.push({ kind: 'WARN_ON', what });
  }

  private find<T>(objects: Map<string, T>, id: unknown): T {
    const found = objects.get(String(id));
    if (!found) throw new NotFound();
    return found;
  }

  private run(call: Call): Result {
    switch (call.call) {
      case 'set-parameters':
        return {};
      case 'create-process':
        this.processes.set(String(call.process), new NaiveProcess());
        return {};
      case 'open-container': {
        const id = String(call.container);
        const process = this.find(this.processes, call.process ?? 'p0');
        if (this.containers.has(id)) return 'EEXIST';
        const nobody = { groups: new Set<Device>(), opened: new Set<Device>() };
        this.containers.set(id, { id, process, open: true, ...nobody, context: null });
        return {};
      }
      case 'create-device': {
        const id = String(call.device);
        if (this.devices.has(id)) return 'EEXIST';
        const mdev = call.kind !== 'vfio-pci';
        const config = (call.driver ?? { type: 'synthetic', onDmaUnmap: 'no-callback' }) as DriverConfig;
        const closed = { opens: 0, groupFd: false, container: null, through: null, attached: null };
        this.devices.set(id, { id, mdev, driver: new NaiveDriver(config), ...closed });
        return {};
      }
    }
    if (call.process !== undefined) return onProcess(this.find(this.processes, call.process), call);
    if (call.device !== undefined) return this.onDevice(this.find(this.devices, call.device), call);
    return this.onContainer(this.find(this.containers, call.container), call);
  }

  private onContainer(container: Container, call: Call): Result {
    if (!container.open) return 'EBADF';
    const { context } = container;
    switch (call.call) {
      case 'close-container':
        container.open = false;
        this.put(container);
        return {};
      // 1, 4.
      case 'set-iommu':
        if (call.type !== 1 && call.type !== 3) return 'EINVAL';
        return context ? context.setIommu(call.type) : 'ENODEV';
      // 2.
      case 'check-extension': {
        const asked = call.extension as number;
        if (asked === 4 && !context) return 'ENODEV';
        return { value: [1, 3, 9].includes(asked) || (asked === 4 && context!.behind.size === 0) ? 1 : 0 };
      }
      case 'iommu-info':
        return context ? { dmaAvail: 2 ** 32 - 1 } : 'ENODEV';
      case 'map-dma':
        if ((call.flags as number) > 3) return 'EINVAL';
        return context ? context.map(call) : 'ENODEV';
      case 'unmap-dma': {
        const flags = call.flags ?? 0;
        if (flags !== 0 && flags !== 2) return 'EINVAL';
        if (!context) return 'ENODEV';
        const { errno, size } = context.unmap(call);
        return { ...(errno ? { errno } : {}), ...(size === undefined ? {} : { size: hex(size) }) };
      }
      case 'dirty-flags':
      case 'dirty-start':
      case 'dirty-stop':
      case 'dirty-get':
        return 'ENOTTY';
    }
    throw new Error(`no model of ${call.call}`);
  }

  /** 7, 8: somebody holds a context no more. */
  private put(container: Container): void {
    if (container.open || container.groups.size > 0 || container.opened.size > 0) return;
    container.context?.destroy();
    this.containers.delete(container.id);
  }

  private onDevice(device: Device, call: Call): Result {
    switch (call.call) {
      case 'open-group':
        if (device.groupFd) return 'EBUSY';
        device.groupFd = true;
        return {};
      case 'close-group':
        if (!device.groupFd) return 'EBADF';
        device.groupFd = false;
        this.leave(device);
        return {};
      case 'set-container': {
        const container = this.find(this.containers, call.container);
        if (!device.groupFd || !container.open) return 'EBADF';
        if (device.container) return 'EINVAL';
        container.context ??= new NaiveIommufd(container.process, () => this.trail);
        device.container = container;
        container.groups.add(device);
        return {};
      }
      case 'unset-container':
        if (!device.groupFd) return 'EBADF';
        if (!device.container) return 'EINVAL';
        this.leave(device);
        return {};
      // 9.
      case 'group-status':
        if (!device.groupFd) return 'EBADF';
        return { value: device.container ? 3 : device.opens > 0 && !device.mdev ? 0 : 1 };
      case 'open-device':
        if (!device.groupFd) return 'EBADF';
        return device.container ? this.openDevice(device, device.container) : 'EINVAL';
      case 'close-device':
        return device.opens === 0 ? 'EBADF' : this.closeDevice(device);
      case 'pin-pages':
        return this.pin(device, call);
      case 'unpin-pages':
        this.unpin(device, big(call.iova), call.npage as number);
        device.driver.forget(keys(pageOf(big(call.iova)) * PAGE, call.npage as number));
        return {};
      case 'dma-rw':
        if (call.length === 0 || !this.isOpen(device, 'rw')) return 'EINVAL';
        return device.attached ? device.through!.context!.dmaRw(call) : 'EINVAL';
      case 'set-driver': {
        const config = call.driver as DriverConfig;
        if (device.opens > 0 && (config.onDmaUnmap !== 'no-callback') !== device.driver.listens)
          return 'EBUSY';
        device.driver.config = config;
        return {};
      }
    }
    throw new Error(`no model of ${call.call}`);
  }

  private leave(device: Device): void {
    const { container } = device;
    if (!container) return;
    device.container = null;
    container.groups.delete(device);
    this.put(container);
  }

  /** 11; 6 for the opens after the first. */
  private openDevice(device: Device, container: Container): Result {
    if (device.opens > 0) {
      device.opens++;
      return {};
    }
    const context = container.context!;
    device.opens = 1;
    let errno: string | null;
    if (device.mdev) {
      const unpin = (key: bigint) => this.unpin(device, key, 1);
      const dmaUnmap = (iova: bigint, length: bigint) => device.driver.dmaUnmap(iova, length, unpin);
      const attached = { id: device.id, listens: device.driver.listens, dmaUnmap };
      errno = context.attach(attached);
      if (!errno) device.attached = attached;
    } else {
      errno = context.attachDomain(device.id);
    }
    if (errno) {
      device.opens = 0;
      device.driver.close(() => {});
      return errno;
    }
    device.through = container;
    container.opened.add(device);
    return {};
  }

  /** 12. */
  private closeDevice(device: Device): Result {
    if (device.opens === 1) {
      const container = device.through!;
      const context = container.context!;
      device.driver.close((key) => this.unpin(device, key, 1));
      if (device.attached) {
        if (device.driver.listens) {
          const everything = (1n << 64n) - 1n;
          this.trail.invalidations.push({ device: device.id, iova: '0x0', length: hex(everything) });
          device.attached.dmaUnmap(0n, everything);
        }
        context.detach(device.attached);
        device.attached = null;
      } else {
        context.detachDomain(device.id);
      }
      device.through = null;
      device.opens = 0;
      container.opened.delete(device);
      this.put(container);
      return {};
    }
    device.opens--;
    return {};
  }

  private isOpen(device: Device, caller: string): boolean {
    if (device.opens > 0) return true;
    const what = '!READ_ONCE(device->open_count)';
    if (!this.fired.has(caller)) this.trail.log.push({ kind: 'WARN_ON_ONCE', what });
    this.fired.add(caller);
    return false;
  }

  /** 27. */
  private pin(device: Device, call: Call): Result {
    const [iova, npage] = [big(call.iova), call.npage as number];
    if (npage === 0) return 'EINVAL';
    if (!this.isOpen(device, 'pin')) {
      this.warn('!vfio_assert_device_open(device)');
      return 'EINVAL';
    }
    if (!device.driver.listens) return 'EINVAL';
    const result = device.through!.context!.pin(device.id, iova, npage, call.prot as number);
    if (typeof result !== 'string') device.driver.note(keys(pageOf(iova) * PAGE, npage));
    return result;
  }

  /** 30. */
  private unpin(device: Device, iova: bigint, npage: number): void {
    if (!this.isOpen(device, 'unpin')) this.warn('!vfio_assert_device_open(device)');
    else if (!device.driver.listens) this.warn('!device->ops->dma_unmap');
    else device.through!.context!.unpin(device.id, iova, npage);
  }
}
