import type { SavedDevice } from '../../../schemas/snapshot/vfio.ts';
import type { SnapshotState } from '../../../schemas/snapshot.ts';
import type { MdevDriver } from '../driver.ts';
import type { Kernel } from '../kernel.ts';
import type { SavedStores } from '../saved/memory.ts';
import type { Device } from './device.ts';
import type { Group } from './group.ts';

/** What a device's driver saves of itself. */
type OfDriver = 'driver' | 'driverState' | 'driverLock';

/** A device without its driver. */
export function saveDevice(device: Device, stores: SavedStores): Omit<SavedDevice, OfDriver> {
  return {
    device: device.id,
    number: device.number,
    kind: device.kind,
    group: device.group.savedAs,
    ...(device.boundTo === 'vfio-pci' ? {} : { boundTo: device.boundTo }),
    openCount: device.openCount,
    ...(device.memoryEnabled ? {} : { memoryEnabled: false as const }),
    ...(device.requests === null ? {} : { requests: device.requests }),
    ...(device.bar === null ? {} : { bar: stores.numberOf(device.bar) }),
  };
}

/** A device with its driver, in its group. */
export function restoreDevice(kernel: Kernel, saved: SavedDevice, driver: MdevDriver, group: Group): void {
  const device = kernel.restoreDevice(saved.device, saved.number, saved.kind, driver, group);
  device.boundTo = saved.boundTo ?? 'vfio-pci';
  device.openCount = saved.openCount;
  device.memoryEnabled = saved.memoryEnabled ?? true;
  device.requests = saved.requests ?? null;
}

/**
 * Devices that were removed, and of which calls still know, in the order in which they were.
 *
 * @param groups all that there are (groupsOf)
 */
export function goneDevices(
  kernel: Kernel,
  groups: readonly Group[],
): NonNullable<SnapshotState['goneDevices']> {
  if (kernel.gone.size === 0) return [];
  const listed = new Set(groups);
  const ids = new Set([...listed].map(({ id }) => id));
  return [...kernel.gone.values()].map(({ id, number, kind, group }) => ({
    number,
    device: id,
    kind,
    group: listed.has(group) ? group.savedAs : group.id,
    ...(ids.has(group.id) && !listed.has(group) ? { former: true as const } : {}),
  }));
}

/** Devices that were removed but left references behind, or believe they have some. */
export function formerDevices(kernel: Kernel): { number: number; device: string }[] {
  // Those that were removed: where none was, nobody is to be looked for.
  if (kernel.deviceNames.size === kernel.devices.size) return [];
  const numbers = new Set<number>();
  for (const container of kernel.containers.values()) {
    for (const holder of container.holders()) numbers.add(holder);
  }
  for (const { number } of kernel.devices.values()) numbers.delete(number);
  return [...numbers].sort((a, b) => a - b).map((number) => ({ number, device: kernel.deviceName(number) }));
}
