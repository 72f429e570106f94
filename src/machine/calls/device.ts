import type { deviceCalls as entries } from '../../../schemas/calls/device.ts';
import type { CallArgs } from '../../../schemas/calls.ts';
import type { IommuArgument } from '../../../schemas/iommu.ts';
import { flagWord, PROT_FLAGS } from '../../../schemas/values.ts';
import { ExternalDriver } from '../../drivers/external/driver.ts';
import { shownUrl } from '../../drivers/external/redact.ts';
import { createDriver } from '../../drivers/index.ts';
import { SyntheticDriver } from '../../drivers/synthetic/driver.ts';
import { base64 } from '../../json/base64.ts';
import type { DmaAccess, PinResult, UnpinResult } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { GuestId } from '../../kernel/guest.ts';
import { hexAddress, offsetInPage, pageOf, wrapPage } from '../../kernel/pages.ts';
import type { KernelStep, Task } from '../../kernel/task.ts';
import { bindDevice } from '../../kernel/vfio/bind.ts';
import { closeDevice, type Device, hasDeviceOpen, openDevice } from '../../kernel/vfio/device.ts';
import {
  closeGroup,
  type Group,
  groupStatus,
  openGroup,
  setContainer,
  unsetContainer,
} from '../../kernel/vfio/group.ts';
import { removeDevice } from '../../kernel/vfio/remove-device.ts';
import { vfioDmaRw } from '../../kernel/vfio/vfio-main.ts';
import { describeDevice } from '../../views/device.ts';
import {
  address,
  type CallBody,
  type CallHandlers,
  type CallResult,
  DirectCall,
  idTaken,
  NOTHING,
  ok,
  type PreparedCall,
} from '../call-handler.ts';
import { callbackReturn } from '../callback-return.ts';
import { iommuOf } from '../iommu.ts';
import type { Machine } from '../machine.ts';
import { Refused } from '../refused.ts';
import { decoded } from './bytes.ts';

/** The driver's probe of a device that was made; one that fails unmakes it. */
function* probe(task: Task, device: Device): KernelStep<Errno | null> {
  const { kernel } = task;
  if (!device.driver.probe) return null;
  const errno = yield* device.driver.probe(kernel.driverApi(task, device));
  if (errno) kernel.forget(device);
  return errno;
}

/** A call on a device's group that answers an errno or nothing. */
function onGroup(
  { group }: Device,
  run: (group: Group, task: Task) => KernelStep<Errno | null>,
): PreparedCall {
  return function* (task) {
    return ok(yield* run(group, task));
  };
}

function syntheticOf({ id, driver }: Device, call: string): SyntheticDriver {
  if (driver instanceof SyntheticDriver) return driver;
  throw Refused.badRequest(`${call} is for a device with a synthetic driver; "${id}" has none`);
}

/** vfio_file_set_kvm; up to 5.19 an open device's driver is told (VFIO_GROUP_NOTIFY_SET_KVM). */
function* setGuest(task: Task, device: Device, guest: GuestId | null): KernelStep<void> {
  const { kernel } = task;
  kernel.giveTo(device, guest);
  const { driver, openCount } = device;
  if (openCount > 0 && driver.setGuest) {
    yield* driver.setGuest(kernel.driverApi(task, device), kernel.guestOf(device));
  }
}

/** The access a dma-rw asks for; which arguments go together no schema can say. */
function accessOf(args: CallArgs<'dma-rw'>): () => KernelStep<DmaAccess> {
  const { write, length, data, fill } = args;
  const wrong = (rule: string) => Refused.badRequest(`body of dma-rw: ${rule}`);
  if (!write) {
    if (data !== undefined || fill !== undefined) throw wrong('"data" and "fill" are for a write');
    if (length === undefined) throw wrong('a read needs "length"');
    return function* () {
      return { read: length };
    };
  }
  if (data !== undefined) {
    if (length !== undefined || fill !== undefined) throw wrong('"data" excludes "length" and "fill"');
    return function* () {
      return { write: yield* decoded(data) };
    };
  }
  if (fill === undefined || length === undefined)
    throw wrong('a write needs "data", or "fill" with "length"');
  return function* () {
    return { write: new Uint8Array(length).fill(fill) };
  };
}

/** vfio_pin_pages, made by the device's driver. */
class PinPages extends DirectCall<PinResult> {
  /** Of the first pin. */
  private key = 0n;
  private pfns: readonly number[] = [];

  constructor(
    private readonly device: Device,
    private readonly iova: bigint,
    private readonly npage: number,
    private readonly prot: number,
  ) {
    super();
  }

  override run(task: Task): KernelStep<PinResult> {
    const { driver } = this.device;
    const api = task.kernel.driverApi(task, this.device);
    this.key = api.keyOf(this.iova);
    return driver.pinPages
      ? driver.pinPages(api, this.iova, this.npage, this.prot)
      : api.pinPages(this.iova, this.npage, this.prot);
  }

  override answer(result: PinResult): CallResult {
    if (typeof result === 'string') return result;
    this.pfns = result;
    return this;
  }

  override kept(): null {
    return null;
  }

  override fields(): CallBody {
    const page = pageOf(this.key);
    const offset = offsetInPage(this.key);
    return {
      pinned: this.pfns.length,
      pages: this.pfns.map((pfn, i) => ({
        iova: hexAddress(wrapPage(page + i), offset),
        pfn: `0x${pfn.toString(16)}`,
      })),
    };
  }
}

/** vfio_unpin_pages, made by the device's driver. */
class UnpinPages extends DirectCall<UnpinResult> {
  private unpinned: number | null = null;

  constructor(
    private readonly device: Device,
    private readonly iova: bigint,
    private readonly npage: number,
  ) {
    super();
  }

  override run(task: Task): KernelStep<UnpinResult> {
    const { driver } = this.device;
    const api = task.kernel.driverApi(task, this.device);
    return driver.unpinPages
      ? driver.unpinPages(api, this.iova, this.npage)
      : api.unpinPages(this.iova, this.npage);
  }

  override answer(result: UnpinResult): CallResult {
    if (typeof result === 'string') return result;
    this.unpinned = result;
    return this;
  }

  override kept(): CallBody {
    return this.fields();
  }

  override fields(): CallBody {
    return this.unpinned === null ? NOTHING : { unpinned: this.unpinned };
  }
}

/** What only a PCI device has. */
function checkPci({ id, kind }: Device, call: string): void {
  if (kind === 'mdev') throw Refused.badRequest(`${call} is for PCI devices; "${id}" is an mdev`);
}

function notOpen(task: Task): Errno {
  return task.refuse('EBADF', 'the device is not open');
}

/** A group that others are in already must be of PCI devices behind the same IOMMU. */
function checkGroup(
  m: Machine,
  kind: string,
  args: { group?: string; boundTo?: string; iommu?: IommuArgument },
) {
  if (kind === 'mdev' && args.boundTo !== undefined) {
    throw Refused.badRequest('body/boundTo is given, but an mdev is bound to its driver');
  }
  const other = [...m.kernel.devices.values()].find(({ group }) => group.id === args.group);
  if (!other) return;
  if (kind === 'mdev' || other.kind === 'mdev') {
    throw Refused.badRequest(
      `body/group ${args.group} has ${other.id} in it, and an mdev is alone in its group`,
    );
  }
  if (args.iommu !== undefined && iommuOf(args.iommu).key !== other.group.iommu?.key) {
    throw Refused.badRequest(`body/iommu is not that of ${other.id}, which is in the same group`);
  }
}

/** Calls on a device and its group. */
export const deviceCalls: CallHandlers<keyof typeof entries> = {
  'create-device': (m, _host, args) => {
    const { devices } = m.kernel;
    const kind = args.kind ?? 'mdev';
    if (kind === 'mdev' && !args.driver) {
      throw Refused.badRequest('body/driver is missing: an mdev needs a driver');
    }
    if (kind !== 'mdev' && args.driver) {
      throw Refused.badRequest(`body/driver is for an mdev; a ${kind} device has its own`);
    }
    if (kind === 'noiommu' && args.group !== undefined) {
      throw Refused.badRequest('body/group is given, but a device without an IOMMU is alone in its group');
    }
    if (args.driver?.type === 'webhook') {
      const refused = m.refusesWebhook(args.driver.url);
      if (refused) throw Refused.badRequest(`body/driver/url ${shownUrl(args.driver.url)} ${refused}`);
    }
    if (kind !== 'vfio-pci' && args.iommu !== undefined) {
      throw Refused.badRequest(`body/iommu is given, but a device of kind ${kind} lies behind no IOMMU`);
    }
    const iommu = iommuOf(args.iommu);
    if (devices.size >= m.limits.devices) throw Refused.tooMany('devices', m.limits.devices);
    checkGroup(m, kind, args);
    return function* (task) {
      if (args.device !== undefined && devices.has(args.device)) return idTaken(task, 'device', args.device);
      const id = m.ids.take('device', args.device);
      const driver = createDriver(m.kernel, args.driver, id);
      if (typeof driver === 'string') return task.refuse(driver, `the driver refuses to create "${id}"`);
      const group = m.kernel.groupOf(
        args.group ?? m.ids.take('group'),
        kind === 'vfio-pci' ? iommu : null,
        kind === 'noiommu',
      );
      const device = m.kernel.createDevice(id, kind, driver, group);
      if (args.boundTo !== undefined || kind === 'noiommu') {
        device.boundTo = 'none';
        const errno = yield* bindDevice(task, device, args.boundTo ?? 'vfio-pci');
        if (errno) return errno;
      }
      const errno = yield* probe(task, device);
      return errno ?? describeDevice(device);
    };
  },
  'bind-device': (_m, device, args) => {
    checkPci(device, 'bind-device');
    return function* (task) {
      return ok(yield* bindDevice(task, device, args.to));
    };
  },
  'remove-device': (_m, device, { ifOpen }) => {
    return function* (task) {
      return ok(yield* removeDevice(task, device, ifOpen === 'refuse'));
    };
  },
  'set-memory-enable': (_m, device, { on }) => {
    checkPci(device, 'set-memory-enable');
    return function* (task) {
      if (!hasDeviceOpen(task, device)) return notOpen(task);
      device.memoryEnabled = on;
      return NOTHING;
    };
  },
  'set-request-channel': (_m, device) => {
    checkPci(device, 'set-request-channel');
    return function* (task) {
      if (!hasDeviceOpen(task, device)) return notOpen(task);
      device.requests = 0;
      return NOTHING;
    };
  },
  'read-requests': (_m, device) => {
    checkPci(device, 'read-requests');
    return function* (task) {
      if (!hasDeviceOpen(task, device)) return notOpen(task);
      if (device.requests === null) return task.refuse('EBADF', `${device.id} has no request channel`);
      const value = device.requests;
      device.requests = 0;
      return { value };
    };
  },
  'open-group': (_m, device) =>
    onGroup(device, function* (group, task) {
      return openGroup(task, group);
    }),
  'close-group': (_m, device) => onGroup(device, (group, task) => closeGroup(task, group)),
  'set-container': (m, device, args) => {
    const container = m.container(args.container);
    return onGroup(device, (group, task) => setContainer(task, group, container));
  },
  'unset-container': (_m, device) => onGroup(device, (group, task) => unsetContainer(task, group)),
  'group-status': (_m, { group }) =>
    function* (task) {
      const value = yield* groupStatus(task, group);
      return typeof value === 'string' ? value : { value };
    },
  // KVM_DEV_VFIO_GROUP_ADD and _DEL.
  'ap-set-guest': (_m, device, { guest }) =>
    function* (task) {
      yield* setGuest(task, device, guest);
      return {};
    },
  'open-device': (_m, device, { guest }) =>
    function* (task) {
      if (guest !== undefined) yield* setGuest(task, device, guest);
      return ok(yield* openDevice(task, device));
    },
  'close-device': (_m, device) => {
    return function* (task) {
      return ok(yield* closeDevice(task, device));
    };
  },
  'pin-pages': (_m, device, args) => {
    const iova = address(args.iova);
    const prot = flagWord(args.prot, PROT_FLAGS);
    return new PinPages(device, iova, args.npage, prot);
  },
  'unpin-pages': (_m, device, args) => {
    const iova = address(args.iova);
    return new UnpinPages(device, iova, args.npage);
  },
  'dma-rw': (_m, device, args) => {
    const access = accessOf(args);
    return function* (task) {
      if (args.context === 'kthread') task.process = null;
      const result = yield* vfioDmaRw(task, device, address(args.iova), yield* access());
      if (typeof result === 'string') return result;
      return args.write ? {} : { data: base64(result) };
    };
  },
  'set-driver': (_m, device, args) => {
    const driver = syntheticOf(device, 'set-driver');
    return function* (task) {
      const listens = args.driver.onDmaUnmap !== 'no-callback';
      // A driver's operations do not change under an open device.
      if (device.openCount > 0 && listens !== driver.hasDmaUnmap) {
        return task.refuse(
          'EBUSY',
          `${device.id} is open: whether it has a dma_unmap cannot change meanwhile`,
        );
      }
      driver.configure(args.driver);
      return { driver: driver.config };
    };
  },
  'complete-callback': (m, { id, driver }, args) => {
    if (!(driver instanceof ExternalDriver)) {
      throw Refused.badRequest(`complete-callback is for a device whose driver is outside; "${id}" has none`);
    }
    const answer = callbackReturn(args, 'body');
    return function* (task) {
      const { scheduler } = m.kernel;
      const waiting = scheduler.pending.find(
        ({ callback }) => callback?.mode === 'outside' && callback.device === id,
      );
      if (!waiting) return task.refuse('EAGAIN', 'no callback of the device is under way');
      if (driver.config.type === 'webhook' && m.callsWebhooks) {
        return task.refuse('EBUSY', 'the callback is being delivered to its webhook');
      }
      scheduler.resume(waiting, answer);
      return {};
    };
  },
  'resume-callbacks': (m, device) => {
    const { id } = device;
    const { driver } = device;
    if (!driver.stopHolding) {
      throw Refused.badRequest(
        `resume-callbacks is for a device whose driver can hold; that of "${id}" cannot`,
      );
    }
    return function* () {
      const { scheduler } = m.kernel;
      if (driver.stopHolding!()) {
        const held = scheduler.pending.find(
          ({ callback }) => callback?.mode === 'held' && callback.device === id,
        );
        if (held) scheduler.resume(held);
      }
      return {};
    };
  },
};
