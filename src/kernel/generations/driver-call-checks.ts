import type { KernelContext } from '../context.ts';
import type { Errno } from '../errno.ts';
import type { Device } from '../objects.ts';
import type { SplatId } from '../splats.ts';
import { refuse, type Task } from '../task.ts';
import type { DriverCallChecks } from './generation.ts';

/** VFIO_PIN_PAGES_MAX_ENTRIES, pages a call. */
export const PIN_PAGES_MAX = 512;

const NOT_OPEN = 'the device is not open';

/** vfio_assert_device_open: warns once, with the flag of the site `once`, when it is not. */
function assertDeviceOpen(k: KernelContext, task: Task, device: Device, once: SplatId): boolean {
  if (device.openCount > 0) return true;
  k.warn(task, once, { device: device.id });
  return false;
}

/** More than 512, or negative: the comparison is unsigned. */
function tooMany(task: Task, npage: number): Errno | null {
  if (npage >= 0 && npage <= PIN_PAGES_MAX) return null;
  return refuse(task, 'E2BIG', `npage ${npage} is not from 1 to ${PIN_PAGES_MAX}`);
}

/** 5.10 looks at the group, not at the device: it must be in a container with an IOMMU. Nothing warns. */
export const GROUP_CHECKS: DriverCallChecks = {
  pin: (_k, task, device, npage) => groupCheck(task, device, npage, 'npage'),
  unpin: (_k, task, device, npage) => groupCheck(task, device, npage, 'npage'),
  rw: (_k, task, device, length) => {
    if (length === 0) return refuse(task, 'EINVAL', 'length is 0');
    return device.iommu ? null : refuse(task, 'EINVAL', 'the group has no container with an IOMMU');
  },
};

function groupCheck(task: Task, device: Device, npage: number, name: string): Errno | null {
  if (npage === 0) return refuse(task, 'EINVAL', `${name} is 0`);
  const big = tooMany(task, npage);
  if (big) return big;
  return device.iommu ? null : refuse(task, 'EINVAL', 'the group has no container with an IOMMU');
}

/** 6.1: one check with one once-only flag for pin, unpin and dma_rw. */
export const OPEN_CHECKS: DriverCallChecks = {
  pin: (k, task, device, npage) => {
    if (npage === 0) return refuse(task, 'EINVAL', 'npage is 0');
    if (!assertDeviceOpen(k, task, device, 'C1')) return refuse(task, 'EINVAL', NOT_OPEN);
    return tooMany(task, npage);
  },
  unpin: (k, task, device, npage) => {
    if (npage <= 0 || npage > PIN_PAGES_MAX) {
      k.warn(task, 'C2', { device: device.id });
      return 'refused';
    }
    if (assertDeviceOpen(k, task, device, 'C1')) return null;
    k.warn(task, 'C3', { device: device.id });
    return 'refused';
  },
  rw: (k, task, device, length) => {
    if (length === 0) return refuse(task, 'EINVAL', 'length is 0');
    return assertDeviceOpen(k, task, device, 'C1') ? null : refuse(task, 'EINVAL', NOT_OPEN);
  },
};

/** 6.12 and 7.2: a once-only flag for each caller, a warning more in pin, and dma_unmap is a condition. */
export const LISTENER_CHECKS: DriverCallChecks = {
  pin: (k, task, device, npage) => {
    if (npage === 0) return refuse(task, 'EINVAL', 'npage is 0');
    if (!assertDeviceOpen(k, task, device, 'C1')) {
      k.warn(task, 'C9', { device: device.id });
      return refuse(task, 'EINVAL', NOT_OPEN);
    }
    if (!device.driver.hasDmaUnmap) {
      return refuse(task, 'EINVAL', 'the driver has no dma_unmap operation');
    }
    return tooMany(task, npage);
  },
  unpin: (k, task, device, npage) => {
    if (!assertDeviceOpen(k, task, device, 'C1-unpin')) {
      k.warn(task, 'C3', { device: device.id });
      return 'refused';
    }
    if (!device.driver.hasDmaUnmap) {
      k.warn(task, 'C10', { device: device.id });
      return 'refused';
    }
    if (npage > 0 && npage <= PIN_PAGES_MAX) return null;
    k.warn(task, 'C2', { device: device.id });
    return 'refused';
  },
  rw: (k, task, device, length) => {
    if (length === 0) return refuse(task, 'EINVAL', 'length is 0');
    return assertDeviceOpen(k, task, device, 'C1-rw') ? null : refuse(task, 'EINVAL', NOT_OPEN);
  },
};
