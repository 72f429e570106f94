import type { CallArgs } from '../../../schemas/calls.ts';
import { flagWord, PROT_FLAGS } from '../../../schemas/values.ts';
import { ExternalDriver } from '../../drivers/external/driver.ts';
import { createDriver } from '../../drivers/index.ts';
import { SyntheticDriver } from '../../drivers/synthetic/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { Device, Group } from '../../kernel/objects.ts';
import { addressOf, hexAddress, offsetInPage, pageOf, wrapPage } from '../../kernel/pages.ts';
import { type KernelStep, refuse, type Task } from '../../kernel/task.ts';
import type { DmaAccess } from '../../kernel/type1/dma-rw.ts';
import {
  closeDevice,
  openDevice,
  vfioDmaRw,
  vfioPinPages,
  vfioUnpinPages,
} from '../../kernel/vfio/device.ts';
import { PIN_PAGES_MAX } from '../../kernel/vfio/driver-call-checks.ts';
import { closeGroup, groupStatus, openGroup, setContainer, unsetContainer } from '../../kernel/vfio/group.ts';
import { address, type CallHandlers, type CallResult, ok, type PreparedCall } from '../call-handler.ts';
import { callbackReturn } from '../callback-return.ts';
import type { Machine } from '../machine.ts';
import { Refused } from '../refused.ts';

/** Items that a device's shown state has of each list. */
const LISTED_STATE = 256;

/** A device as GET shows it. */
export function describeDevice(device: Device) {
  const { group, driver } = device;
  return {
    device: device.id,
    group: group.id,
    kind: device.kind,
    ...(driver.config ? { driver: driver.describe?.() ?? driver.config } : {}),
    ...(driver.state ? { state: driver.state(LISTED_STATE) } : {}),
    openCount: device.openCount,
    groupOpen: group.fdOpen,
    container: group.container?.id ?? null,
  };
}

/** A call on a device's group that answers an errno or nothing. */
function onGroup(
  m: Machine,
  id: string,
  run: (group: Group, task: Task) => KernelStep<Errno | null>,
): PreparedCall {
  const { group } = m.device(id);
  return function* (task) {
    const { container } = group;
    const errno = yield* run(group, task as Task);
    if (container) m.collect(container);
    return ok(errno);
  };
}

function syntheticOf(m: Machine, id: string, call: string): SyntheticDriver {
  const { driver } = m.device(id);
  if (driver instanceof SyntheticDriver) return driver;
  throw Refused.badRequest(`${call} is for a device with a synthetic driver; "${id}" has none`);
}

/** The access a dma-rw asks for; which arguments go together no schema can say. */
function accessOf(args: CallArgs<'dma-rw'>): DmaAccess {
  const { write, length, data, fill } = args;
  const wrong = (rule: string) => Refused.badRequest(`body of dma-rw: ${rule}`);
  if (!write) {
    if (data !== undefined || fill !== undefined) throw wrong('"data" and "fill" are for a write');
    if (length === undefined) throw wrong('a read needs "length"');
    return { read: length };
  }
  if (data !== undefined) {
    if (length !== undefined || fill !== undefined) throw wrong('"data" excludes "length" and "fill"');
    return { write: Buffer.from(data, 'base64') };
  }
  if (fill === undefined || length === undefined)
    throw wrong('a write needs "data", or "fill" with "length"');
  return { write: new Uint8Array(length).fill(fill) };
}

// Generator functions of the module's own: one made for each call would cost as much as the call.
function* pin(
  m: Machine,
  task: Task,
  device: Device,
  iova: bigint,
  npage: number,
  prot: number,
): KernelStep<CallResult> {
  const result = yield* vfioPinPages(m.kernel, task, device, iova, npage, prot);
  if (typeof result === 'string') return result;
  const page = pageOf(iova);
  const offset = m.kernel.gen.pinsByPage ? 0 : offsetInPage(iova);
  if (device.driver instanceof SyntheticDriver) {
    device.driver.pinned(addressOf(page, offset), result.length);
  }
  return {
    pinned: result.length,
    pages: result.map((pfn, i) => ({
      iova: hexAddress(wrapPage(page + i), offset),
      pfn: `0x${pfn.toString(16)}`,
    })),
  };
}

function* unpin(m: Machine, task: Task, device: Device, iova: bigint, npage: number): KernelStep<CallResult> {
  const result = yield* vfioUnpinPages(m.kernel, task, device, iova, npage);
  // The driver takes each page it named off its list, whatever came of it (5.10: spec-29).
  if (device.driver instanceof SyntheticDriver && npage <= PIN_PAGES_MAX) {
    device.driver.unpinned(m.kernel.gen.pinsByPage ? addressOf(pageOf(iova)) : iova, npage);
  }
  if (typeof result === 'string') return result;
  return result === null ? {} : { unpinned: result };
}

/** Calls on a device and its group. */
export const deviceCalls: CallHandlers<
  | 'create-device'
  | 'remove-device'
  | 'open-group'
  | 'close-group'
  | 'set-container'
  | 'unset-container'
  | 'group-status'
  | 'open-device'
  | 'close-device'
  | 'pin-pages'
  | 'unpin-pages'
  | 'dma-rw'
  | 'set-driver'
  | 'resume-callbacks'
  | 'complete-callback'
> = {
  'create-device': (m, _id, args) => {
    const { devices } = m.kernel;
    const kind = args.kind ?? 'mdev';
    if (kind === 'mdev' && !args.driver) {
      throw Refused.badRequest('body/driver is missing: an mdev needs a driver');
    }
    if (kind === 'vfio-pci' && args.driver) {
      throw Refused.badRequest('body/driver is for an mdev; a vfio-pci device has its own');
    }
    if (args.driver?.type === 'webhook') {
      const refused = m.refusesWebhook(args.driver.url);
      if (refused) throw Refused.badRequest(`body/driver/url ${args.driver.url} ${refused}`);
    }
    if (devices.size >= m.limits.devices) throw Refused.tooMany('devices', m.limits.devices);
    return function* () {
      if (args.device !== undefined && devices.has(args.device)) return 'EEXIST';
      const id = m.newId('d', args.device, devices);
      const device = m.kernel.createDevice(id, kind, createDriver(args.driver, m.kernel.gen), m.newGroupId());
      return describeDevice(device);
    };
  },
  'remove-device': (m, id) => {
    const device = m.device(id);
    return function* (task) {
      const { group, driver } = device;
      const api = m.kernel.driverApi(task as Task, device);
      if (driver.remove) yield* driver.remove(api, device.openCount > 0);
      if (device.openCount > 0) return 'EBUSY';
      const { container } = group;
      // Nobody could name the group any more: its file goes with the device.
      if (group.fdOpen) yield* closeGroup(m.kernel, task as Task, group);
      if (container) m.collect(container);
      m.kernel.devices.delete(id);
      return {};
    };
  },
  'open-group': (m, id) =>
    onGroup(m, id, function* (group) {
      return openGroup(group);
    }),
  'close-group': (m, id) => onGroup(m, id, (group, task) => closeGroup(m.kernel, task, group)),
  'set-container': (m, id, args) => {
    const container = m.container(args.container);
    return onGroup(m, id, (group, task) => setContainer(m.kernel, task, group, container));
  },
  'unset-container': (m, id) => onGroup(m, id, (group, task) => unsetContainer(m.kernel, task, group)),
  'group-status': (m, id) => {
    const { group } = m.device(id);
    return function* (task) {
      const value = yield* groupStatus(m.kernel, task as Task, group);
      return typeof value === 'string' ? value : { value };
    };
  },
  'open-device': (m, id) => {
    const device = m.device(id);
    return function* (task) {
      return ok(yield* openDevice(m.kernel, task as Task, device));
    };
  },
  'close-device': (m, id) => {
    const device = m.device(id);
    return function* (task) {
      const { container } = device.group;
      const errno = yield* closeDevice(m.kernel, task as Task, device);
      if (container) m.collect(container);
      return ok(errno);
    };
  },
  'pin-pages': (m, id, args) => {
    const device = m.device(id);
    const iova = address(args.iova);
    const prot = flagWord(args.prot, PROT_FLAGS);
    return (task) => pin(m, task as Task, device, iova, args.npage, prot);
  },
  'unpin-pages': (m, id, args) => {
    const device = m.device(id);
    const iova = address(args.iova);
    return (task) => unpin(m, task as Task, device, iova, args.npage);
  },
  'dma-rw': (m, id, args) => {
    const device = m.device(id);
    const access = accessOf(args);
    return function* (task) {
      const result = yield* vfioDmaRw(m.kernel, task as Task, device, address(args.iova), access);
      if (typeof result === 'string') return result;
      return args.write ? {} : { data: Buffer.from(result).toString('base64') };
    };
  },
  'set-driver': (m, id, args) => {
    const driver = syntheticOf(m, id, 'set-driver');
    const device = m.device(id);
    return function* () {
      const listens = args.driver.onDmaUnmap !== 'no-callback';
      // A driver's operations do not change under an open device.
      if (device.openCount > 0 && listens !== driver.hasDmaUnmap) return 'EBUSY';
      driver.configure(args.driver);
      return { driver: driver.config };
    };
  },
  'complete-callback': (m, id, args) => {
    const { driver } = m.device(id);
    if (!(driver instanceof ExternalDriver)) {
      throw Refused.badRequest(`complete-callback is for a device whose driver is outside; "${id}" has none`);
    }
    const answer = callbackReturn(args, 'body');
    return function* (task) {
      const { scheduler } = m.kernel;
      const waiting = scheduler.pending.find(
        ({ callback }) => callback?.mode === 'outside' && callback.device === id,
      );
      if (!waiting) return refuse(task as Task, 'EAGAIN', 'no callback of the device is under way');
      if (driver.config.type === 'webhook' && m.callsWebhooks) {
        return refuse(task as Task, 'EBUSY', 'the callback is being delivered to its webhook');
      }
      scheduler.resume(waiting, answer);
      return {};
    };
  },
  'resume-callbacks': (m, id) => {
    const driver = syntheticOf(m, id, 'resume-callbacks');
    return function* () {
      const { scheduler } = m.kernel;
      if (driver.stopHolding()) {
        const held = scheduler.pending.find(
          ({ callback }) => callback?.mode === 'held' && callback.device === id,
        );
        if (held) scheduler.resume(held);
      }
      return {};
    };
  },
};
