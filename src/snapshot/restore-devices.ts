import type { SavedDevice, SavedGroup } from '../../schemas/snapshot/vfio.ts';
import type { SnapshotState } from '../../schemas/snapshot.ts';
import { REDACTED, shownUrl } from '../drivers/external/redact.ts';
import { createDriver } from '../drivers/index.ts';
import { VfioPciDriver } from '../drivers/vfio-pci.ts';
import type { IommuHardware } from '../kernel/iommu/hardware.ts';
import { DEFAULT_IOMMU } from '../kernel/iommu/presets.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { checkAscending, checkDifferent, wrong } from '../kernel/saved/checks.ts';
import { restoreLock } from '../kernel/saved/lock.ts';
import { Device } from '../kernel/vfio/device.ts';
import { Group } from '../kernel/vfio/group.ts';
import { restoreDevice } from '../kernel/vfio/saved-device.ts';
import { restoreGroup } from '../kernel/vfio/saved-group.ts';
import { iommuOf } from '../machine/iommu.ts';
import type { Machine } from '../machine/machine.ts';
import { restoreDriver } from './drivers.ts';

/**
 * Makes the devices with their drivers, and every group.
 *
 * @returns the groups by id; those in a container are not in it yet
 */
export function* restoreDevices(
  machine: Machine,
  state: SnapshotState,
  where: string,
): Generator<void, Map<string, Group>> {
  const { kernel } = machine;
  kernel.deviceCount = state.next.deviceNumber;
  const saved = new Map(state.groups.map((group, i) => [group.group, { group, at: `${where}/groups/${i}` }]));
  checkDifferent(
    state.groups.map(({ group }) => group),
    `${where}/groups`,
  );
  checkDifferent(
    state.devices.map(({ device }) => device),
    `${where}/devices`,
  );
  checkNumbers(state.devices, kernel.deviceCount, `${where}/devices`);
  checkNumbers(state.formerDevices, kernel.deviceCount, `${where}/formerDevices`);
  checkNames(saved, where);
  for (const { number, device } of state.formerDevices) kernel.deviceNames.set(number, device);
  const groups = new Map<string, Group>();
  for (const [i, device] of state.devices.entries()) {
    const at = `${where}/devices/${i}`;
    const its = saved.get(device.group);
    if (!its) throw wrong(`${at}/group`, `is "${device.group}", which is no group of the snapshot`);
    if (kernel.deviceNames.has(device.number)) {
      throw wrong(`${at}/number`, `is ${device.number}, which is a former device's too`);
    }
    const group = groups.get(device.group) ?? restoreGroup(kernel, its.group, hardwareOf(its.group), its.at);
    groups.set(device.group, group);
    const fits = group.emulated === (device.kind === 'mdev') && group.noIommu === (device.kind === 'noiommu');
    const alone = group.emulated || group.noIommu;
    if (!fits || (alone && group.devices.length > 0) || its.group.name !== undefined) {
      throw wrong(`${at}/group`, `is "${device.group}", which has no place for it`);
    }
    yield* restoreWithDriver(machine, device, group, at);
  }
  restoreGone(kernel, state, saved, groups, where);
  for (const { group, at } of saved.values()) {
    if (groups.has(group.group)) continue;
    if (groups.size % 256 === 0) yield;
    groups.set(group.group, restoreGroup(kernel, group, hardwareOf(group), at));
  }
  return groups;
}

/** A group is called otherwise than its name where another one has that. */
function checkNames(saved: ReadonlyMap<string, { group: SavedGroup; at: string }>, where: string): void {
  for (const { group, at } of saved.values()) {
    const { name } = group;
    if (name === undefined) continue;
    if (name === group.group || !saved.has(name) || saved.get(name)!.group.name !== undefined) {
      throw wrong(`${at}/name`, `is "${name}", but must be that of another group of ${where}/groups`);
    }
  }
}

function checkNumbers(devices: readonly { number: number }[], count: number, where: string): void {
  const numbers = devices.map(({ number }) => number);
  checkAscending(numbers, where);
  const last = numbers.at(-1) ?? -1;
  if (last >= count) throw wrong(where, `has the number ${last}, but next/deviceNumber is ${count}`);
}

/** A device with its driver. */
function* restoreWithDriver(
  machine: Machine,
  saved: SavedDevice,
  group: Group,
  where: string,
): Generator<void, void> {
  const config = saved.driver;
  if ((config !== null) !== (saved.kind === 'mdev')) {
    throw wrong(`${where}/driver`, 'must be there for an mdev, and null for any other device');
  }
  if (config?.type === 'webhook') {
    const refused = machine.refusesWebhook(config.url);
    if (refused) throw wrong(`${where}/driver/url`, `${shownUrl(config.url)} ${refused}`);
    for (const field of ['secret', 'url'] as const) {
      const value = config[field];
      if (field === 'url' ? !value?.includes(REDACTED) : value !== REDACTED) continue;
      throw wrong(
        `${where}/driver/${field}`,
        `is "${value}": take the snapshot with secrets=1, or put it in`,
      );
    }
  }
  const { kernel } = machine;
  const driver = createDriver(kernel, config ?? undefined, saved.device);
  if (typeof driver === 'string') throw wrong(`${where}/driver`, `is refused with ${driver}`);
  yield* restoreDriver(driver, saved.driverState, kernel.limits.pins, `${where}/driverState`);
  if (driver.ownLock) restoreLock(kernel, driver.ownLock, saved.driverLock, `${where}/driverLock`);
  else if (saved.driverLock) throw wrong(`${where}/driverLock`, 'must be null: the driver has no lock');
  restoreDevice(kernel, saved, driver, group);
  yield;
}

/** The IOMMU of a group; a group without one does not look at it. */
function hardwareOf({ iommu }: SavedGroup): IommuHardware {
  return iommu ? iommuOf(iommu) : DEFAULT_IOMMU;
}

/** Devices that are gone. A group that is not listed, or is another one of that name, is closed and as it was made. */
function restoreGone(
  kernel: Kernel,
  { goneDevices = [] }: SnapshotState,
  saved: ReadonlyMap<string, { group: SavedGroup; at: string }>,
  groups: Map<string, Group>,
  where: string,
): void {
  checkDifferent(
    goneDevices.map(({ device }) => device),
    `${where}/goneDevices`,
  );
  const closed = new Map<string, Group>();
  for (const [i, { number, device: id, kind, group: groupId, former }] of goneDevices.entries()) {
    const at = `${where}/goneDevices/${i}`;
    if (number >= kernel.deviceCount) {
      throw wrong(`${at}/number`, `is ${number}, but next/deviceNumber is ${kernel.deviceCount}`);
    }
    const its = former ? undefined : saved.get(groupId);
    let group = its ? groups.get(groupId) : closed.get(groupId);
    if (!group && its) {
      group = restoreGroup(kernel, its.group, hardwareOf(its.group), its.at);
      groups.set(groupId, group);
    }
    if (!group) {
      group = new Group(groupId, kind === 'vfio-pci' ? DEFAULT_IOMMU : null, kind === 'noiommu');
      closed.set(groupId, group);
    }
    const device = new Device(id, number, kind, new VfioPciDriver(), group);
    group.devices.pop();
    device.unregistering = true;
    device.unlisted = true;
    kernel.gone.set(id, device);
  }
}

/** Checks what devices and groups must be once they are in their containers, and counts their users. */
export function* settleDevices(
  { kernel }: Machine,
  groups: ReadonlyMap<string, Group>,
  state: SnapshotState,
  where: string,
): Generator<void, void> {
  for (const [i, saved] of state.groups.entries()) {
    const at = `${where}/groups/${i}`;
    const { container, fileOpen } = groups.get(saved.group)!;
    if ((saved.pinnedPageDirtyScope === null) === (container?.hasDirtyScope ?? false)) {
      throw wrong(
        `${at}/pinnedPageDirtyScope`,
        'must be there in a container with a type1 instance, and null elsewhere',
      );
    }
    if (container && !fileOpen) throw wrong(`${at}/fileOpen`, 'is false, but the group is in a container');
    if (i % 1024 === 1023) yield;
  }
  // Of a device that is there, or was: those that are gone too.
  const withDevice = new Set<Group>();
  for (const { group } of kernel.gone.values()) withDevice.add(group);
  for (const [i, device] of [...kernel.devices.values()].entries()) {
    const { id, group, openCount } = device;
    withDevice.add(group);
    const at = `${where}/devices/${i}/openCount`;
    if (openCount === 0) continue;
    const container = device.openedThrough ?? group.container;
    if (!container) throw wrong(at, `is ${openCount}, but "${id}" is in no container with an iommu`);
    container.restoreOpenDevice(device, at);
  }
  const withDeadFile = new Set((state.files ?? []).map((file) => (file.dead ? file.id : null)));
  for (const [i, { group, fdOpen }] of state.groups.entries()) {
    if (i % 1024 === 1023) yield;
    const its = groups.get(group)!;
    if (withDevice.has(its) || fdOpen || its.container || withDeadFile.has(group)) continue;
    throw wrong(
      `${where}/groups/${i}`,
      `is ${group}, which has neither a device nor a container, nor is its file open`,
    );
  }
}
