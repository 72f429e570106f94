import type { Errno } from '../errno.ts';
import type { SplatId } from '../splats.ts';
import type { Task } from '../task.ts';
import type { Device } from './device.ts';

/** vfio_assert_device_open: warns once (C1) when it is not. */
function assertDeviceOpen(task: Task, device: Device, caller: 'pin' | 'unpin' | 'rw'): boolean {
  if (device.openCount > 0) return true;
  // Up to 6.1 there is one once-only flag for all callers; where the check is inlined, one each.
  const flag = task.kernel.gen.core.openCheckPerCaller && caller !== 'pin' ? caller : undefined;
  task.warn('C1', { device: device.id }, flag);
  return false;
}

/** Whether the device may call at all: it is open, or (5.10) its group is in a container with an IOMMU. */
function mayCall(task: Task, device: Device, caller: 'pin' | 'unpin' | 'rw'): boolean {
  if (task.kernel.gen.core.driverCallsNeed === 'group') {
    if (device.iommu) return true;
    task.refuse('EINVAL', device.container?.whyNoIommu ?? `group ${device.group.id} is in no container`);
    return false;
  }
  if (assertDeviceOpen(task, device, caller)) return true;
  task.refuse('EINVAL', `${device.id} is not open`);
  return false;
}

/** More than 512, or negative: the comparison is unsigned. iommufd has no such limit. */
function countIsBad({ kernel }: Task, npage: number): boolean {
  const { pinPagesMax } = kernel.gen.core;
  return pinPagesMax !== null && (npage < 0 || npage > pinPagesMax);
}

function badCount(task: Task, npage: number): Errno {
  return task.refuse('E2BIG', `npage ${npage} is not from 1 to ${task.kernel.gen.core.pinPagesMax}`);
}

const NO_DMA_UNMAP = 'the driver has no dma_unmap operation';

/** An unpin that did nothing but warn. */
interface UnpinRefused {
  readonly why: string;
}

/** What vfio_pin_pages checks before type1 sees the call; null lets it through. */
export function checkPin(task: Task, device: Device, npage: number): Errno | null {
  if (npage === 0) return task.refuse('EINVAL', 'npage is 0');
  if (task.kernel.gen.core.driverCallsNeed === 'group' && countIsBad(task, npage))
    return badCount(task, npage);
  if (!mayCall(task, device, 'pin')) {
    if (task.kernel.gen.core.closedPinWarns) task.warn('C9', { device: device.id });
    return 'EINVAL';
  }
  if (task.kernel.gen.core.pinNeedsDmaUnmap && !device.driver.hasDmaUnmap) {
    return task.refuse('EINVAL', NO_DMA_UNMAP);
  }
  if (countIsBad(task, npage)) return badCount(task, npage);
  const { references, limits, gen } = task.kernel;
  // A pin of iommufd is a run of pages.
  const more = gen.core.pinPagesMax === null ? 1 : npage;
  const full = references.refuse(more);
  if (full) return task.refuse('ENOMEM', full);
  if (references.count + more <= limits.pins) return null;
  return task.refuse(
    'ENOMEM',
    `there would be more than ${limits.pins} pins, which is more than this host holds`,
  );
}

/**
 * What vfio_unpin_pages checks before type1 sees the call; null lets it through. An errno only where the
 * function has an answer; otherwise it warns and returns, and why is in words.
 */
export function checkUnpin(task: Task, device: Device, npage: number): Errno | UnpinRefused | null {
  if (task.kernel.gen.core.unpinAnswers) {
    if (npage === 0) return task.refuse('EINVAL', 'npage is 0');
    if (countIsBad(task, npage)) return badCount(task, npage);
    // vfio_group_get_from_dev finds none (recording remove-eio).
    if (device.removed) return task.refuse('ENODEV', 'the device is being removed');
    return mayCall(task, device, 'unpin') ? null : 'EINVAL';
  }
  const warn = (id: SplatId, why: string): UnpinRefused => {
    task.warn(id, { device: device.id });
    return { why };
  };
  const count = () => `npage ${npage} is not from 1 to ${task.kernel.gen.core.pinPagesMax}`;
  const bad = (npage === 0 && task.kernel.gen.core.pinPagesMax !== null) || countIsBad(task, npage);
  if (bad && task.kernel.gen.core.unpinChecksCountFirst) return warn('C2', count());
  if (!mayCall(task, device, 'unpin')) {
    const why = task.why ?? '';
    return task.kernel.gen.core.driverCallsNeed === 'open-device' ? warn('C3', why) : { why };
  }
  if (task.kernel.gen.core.pinNeedsDmaUnmap && !device.driver.hasDmaUnmap) return warn('C10', NO_DMA_UNMAP);
  return bad ? warn('C2', count()) : null;
}

/** What vfio_dma_rw checks of a call of `length` bytes before type1 sees it; null lets it through. */
export function checkRw(task: Task, device: Device, length: number): Errno | null {
  if (!task.kernel.gen.core.hasDmaRw) {
    return task.refuse(
      'EOPNOTSUPP',
      `Linux ${task.kernel.gen.version} has no vfio_dma_rw, which came with 5.7`,
    );
  }
  if (length === 0) return task.refuse('EINVAL', 'length is 0');
  return mayCall(task, device, 'rw') ? null : 'EINVAL';
}
