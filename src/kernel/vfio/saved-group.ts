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
  // In an order that a restored host has too.
  const containers = [...kernel.containers.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const container of containers) for (const group of container.groups) groups.add(group);
  for (const { group } of kernel.gone.values()) if (group.fileOpen) groups.add(group);
  for (const { of } of kernel.groupFiles) groups.add(of as Group);
  // Those that have devices stay before others of their name.
  return [...groups].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

/** Gives each group a name that no other one has in a snapshot. A device may come into a new group of an old one's name. */
export function nameGroups(groups: readonly Group[]): void {
  const taken = new Set(groups.map(({ id }) => id));
  // Goes on from group to group of a name: there may be thousands.
  let n = 2;
  for (const [i, group] of groups.entries()) {
    group.savedAs = group.id;
    if (groups[i - 1]?.id !== group.id) {
      n = 2;
      continue;
    }
    for (; taken.has(group.savedAs); n++) group.savedAs = `${group.id.slice(0, STEM)}.${n}`;
    taken.add(group.savedAs);
  }
}

/** Characters of an id before the number that tells two groups of its name apart. */
const STEM = 52;

/**
 * A group.
 *
 * @param owner the guest its device has of its own; undefined: its device has gone
 */
export function saveGroup(
  { id, savedAs, emulated, noIommu, revoked, iommu, fdOpen, fileOpen, container, lock, ...group }: Group,
  owner: GuestId | undefined,
): SavedGroup {
  return {
    group: savedAs,
    ...(savedAs === id ? {} : { name: id }),
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
  const group = new Group(saved.name ?? saved.group, saved.emulated || noIommu ? null : iommu, noIommu);
  group.savedAs = saved.group;
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
