import type { deviceCalls as entries } from '../../../schemas/calls/device.ts';
import type { IommuArgument } from '../../../schemas/iommu.ts';
import { shownUrl } from '../../drivers/external/redact.ts';
import { createDriver } from '../../drivers/index.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { GuestId } from '../../kernel/guest.ts';
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
import { describeDevice } from '../../views/device.ts';
import { type CallHandlers, ErrnoCall, idTaken, NOTHING } from '../call-handler.ts';
import { iommuOf } from '../iommu.ts';
import type { Machine } from '../machine.ts';
import { Refused } from '../refused.ts';

/** The driver's probe of a device that was made; one that fails unmakes it. */
function* probe(task: Task, device: Device): KernelStep<Errno | null> {
  const { kernel } = task;
  if (!device.driver.probe) return null;
  const errno = yield* device.driver.probe(kernel.driverApi(task, device));
  if (errno) kernel.forget(device);
  return errno;
}

function* openGroupFile(task: Task, group: Group): KernelStep<Errno | null> {
  return openGroup(task, group);
}

/** With a guest that the device's group is given to first. */
function* openForGuest(task: Task, device: Device, guest: GuestId | null): KernelStep<Errno | null> {
  yield* setGuest(task, device, guest);
  return yield* openDevice(task, device);
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

/** What only a PCI device has. */
function checkPci({ id, kind }: Device, call: string): void {
  if (kind === 'mdev') throw Refused.badRequest(`${call} is for PCI devices; "${id}" is an mdev`);
}

function notOpen(task: Task): Errno {
  return task.refuse('EBADF', 'the device is not open');
}

/** A group that others are in already must be of PCI devices behind the same IOMMU. */
function checkGroup(
  machine: Machine,
  kind: string,
  args: { group?: string; boundTo?: string; iommu?: IommuArgument },
) {
  if (kind === 'mdev' && args.boundTo !== undefined) {
    throw Refused.badRequest('body/boundTo is given, but an mdev is bound to its driver');
  }
  const other = [...machine.kernel.devices.values()].find(({ group }) => group.id === args.group);
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
  'create-device': (machine, _host, args) => {
    const { devices } = machine.kernel;
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
      const refused = machine.refusesWebhook(args.driver.url);
      if (refused) throw Refused.badRequest(`body/driver/url ${shownUrl(args.driver.url)} ${refused}`);
    }
    if (kind !== 'vfio-pci' && args.iommu !== undefined) {
      throw Refused.badRequest(`body/iommu is given, but a device of kind ${kind} lies behind no IOMMU`);
    }
    const iommu = iommuOf(args.iommu);
    if (devices.size >= machine.limits.devices) throw Refused.tooMany('devices', machine.limits.devices);
    checkGroup(machine, kind, args);
    return function* (task) {
      if (args.device !== undefined && devices.has(args.device)) return idTaken(task, 'device', args.device);
      const id = machine.ids.take('device', args.device);
      const driver = createDriver(machine.kernel, args.driver, id);
      if (typeof driver === 'string') return task.refuse(driver, `the driver refuses to create "${id}"`);
      const group = machine.kernel.groupOf(
        args.group ?? machine.ids.take('group'),
        kind === 'vfio-pci' ? iommu : null,
        kind === 'noiommu',
      );
      const device = machine.kernel.createDevice(id, kind, driver, group);
      if (args.boundTo !== undefined || kind === 'noiommu') {
        device.boundTo = 'none';
        const errno = yield* bindDevice(task, device, args.boundTo ?? 'vfio-pci');
        if (errno) return errno;
      }
      const errno = yield* probe(task, device);
      return errno ?? describeDevice(device);
    };
  },
  'bind-device': (_machine, device, args) => {
    checkPci(device, 'bind-device');
    return new ErrnoCall((task, to: typeof args.to) => bindDevice(task, device, to), args.to);
  },
  'remove-device': (_machine, device, { ifOpen }) => {
    return new ErrnoCall((task, on: Device) => removeDevice(task, on, ifOpen === 'refuse'), device);
  },
  'set-memory-enable': (_machine, device, { on }) => {
    checkPci(device, 'set-memory-enable');
    return function* (task) {
      if (!hasDeviceOpen(task, device)) return notOpen(task);
      device.memoryEnabled = on;
      return NOTHING;
    };
  },
  'set-request-channel': (_machine, device) => {
    checkPci(device, 'set-request-channel');
    return function* (task) {
      if (!hasDeviceOpen(task, device)) return notOpen(task);
      device.requests = 0;
      return NOTHING;
    };
  },
  'read-requests': (_machine, device) => {
    checkPci(device, 'read-requests');
    return function* (task) {
      if (!hasDeviceOpen(task, device)) return notOpen(task);
      if (device.requests === null) return task.refuse('EBADF', `${device.id} has no request channel`);
      const value = device.requests;
      device.requests = 0;
      return { value };
    };
  },
  'open-group': (_machine, { group }) => new ErrnoCall(openGroupFile, group),
  'close-group': (_machine, { group }) => new ErrnoCall(closeGroup, group),
  'set-container': (machine, device, args) => {
    const container = machine.container(args.container);
    return new ErrnoCall((task, group: Group) => setContainer(task, group, container), device.group);
  },
  'unset-container': (_machine, { group }) => new ErrnoCall(unsetContainer, group),
  'group-status': (_machine, { group }) =>
    function* (task) {
      const value = yield* groupStatus(task, group);
      return typeof value === 'string' ? value : { value };
    },
  // KVM_DEV_VFIO_GROUP_ADD and _DEL.
  'ap-set-guest': (_machine, device, { guest }) =>
    function* (task) {
      yield* setGuest(task, device, guest);
      return {};
    },
  'open-device': (_machine, device, { guest }) => {
    if (guest === undefined) return new ErrnoCall(openDevice, device);
    return new ErrnoCall((task, on: Device) => openForGuest(task, on, guest), device);
  },
  'close-device': (_machine, device) => new ErrnoCall(closeDevice, device),
};
