import type { SavedGroup } from '../../../schemas/snapshot/vfio.ts';
import type { GuestId } from '../guest.ts';
import type { IommuHardware } from '../iommu/hardware.ts';
import { propertiesOf } from '../iommu/properties.ts';
import type { Kernel } from '../kernel.ts';
import { wrong } from '../saved/checks.ts';
import { restoreLock, saveLock } from '../saved/lock.ts';
import { Group } from './group.ts';

/**
 * The groups of devices, and those whose device is gone while a dead task keeps them in a container or their file is
 * open: a device of the same name may have come, and gone, since.
 */
export function groupsOf(kernel: Kernel): Group[] {
  const groups = new Set<Group>();
  for (const { group } of kernel.devices.values()) groups.add(group);
  for (const container of kernel.containers.values()) for (const group of container.groups) groups.add(group);
  for (const { group } of kernel.gone.values()) if (group.fileOpen) groups.add(group);
  for (const { files } of kernel.processes.values()) {
    for (const file of files.list()) if (file?.of instanceof Group) groups.add(file.of);
  }
  return [...groups].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * A group.
 *
 * @param owner the guest its device has of its own; undefined: its device has gone
 */
export function saveGroup(
  { id, emulated, noIommu, revoked, iommu, fdOpen, fileOpen, container, lock, ...group }: Group,
  owner: GuestId | undefined,
): SavedGroup {
  return {
    group: id,
    emulated,
    ...(noIommu ? { noIommu } : {}),
    ...(revoked ? { revoked } : {}),
    ...(iommu?.logged ? { iommu: propertiesOf(iommu) } : {}),
    fdOpen,
    fileOpen,
    // Set anew by each attach; before, it means nothing.
    pinnedPageDirtyScope: container?.hasDirtyScope ? group.pinnedPageDirtyScope : null,
    lock: saveLock(lock),
    // Nobody is left to have it where the device has gone.
    guest: owner === undefined ? null : group.guest === undefined ? owner : group.guest,
    lastGuest: owner === undefined ? null : group.lastGuest,
  };
}

/** A group without its devices and its container. */
export function restoreGroup(kernel: Kernel, saved: SavedGroup, iommu: IommuHardware, where: string): Group {
  const noIommu = saved.noIommu ?? false;
  const group = new Group(saved.group, saved.emulated || noIommu ? null : iommu, noIommu);
  group.revoked = saved.revoked ?? false;
  if (saved.fdOpen && !saved.fileOpen) throw wrong(`${where}/fileOpen`, 'is false, but fdOpen is true');
  if (saved.emulated && saved.pinnedPageDirtyScope === false) {
    throw wrong(`${where}/pinnedPageDirtyScope`, 'is false, but the group is emulated');
  }
  group.fdOpen = saved.fdOpen;
  group.fileOpen = saved.fileOpen;
  group.guest = saved.guest;
  group.lastGuest = saved.lastGuest;
  group.pinnedPageDirtyScope = saved.pinnedPageDirtyScope ?? false;
  restoreLock(kernel, group.lock, saved.lock, `${where}/lock`);
  return group;
}
