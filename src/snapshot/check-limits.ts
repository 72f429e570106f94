import type { SnapshotState } from '../../schemas/snapshot.ts';
import type { MachineLimits } from '../machine/limits.ts';
import { Refused } from '../machine/refused.ts';

/**
 * Checks that no list of a snapshot is longer than the machine lets it become, before anything is made of it. How long
 * the others are is said by the schema, or counted where they are restored.
 *
 * @throws Refused that names the list and its limit
 */
export function checkLimits(limits: MachineLimits, state: SnapshotState, where: string): void {
  const most = (field: string, list: readonly unknown[] | undefined, limit: number) => {
    if (!list || list.length <= limit) return;
    throw new Refused('too-many', `${where}/${field} has ${list.length} items, but the limit is ${limit}`);
  };
  const { processes, devices, containers, groups, files } = state;
  most('processes', processes, limits.processes);
  most('devices', devices, limits.devices);
  most('containers', containers, limits.containers);
  most('faults', state.faults, limits.faults);
  let descriptors = files ? 0 : limits.files;
  for (const [i, { regions, files: open = [] }] of processes.entries()) {
    most(`processes/${i}/regions`, regions, limits.regions);
    most(`processes/${i}/files`, open, limits.files);
    descriptors += open.length;
  }
  // A group has a device, or a file that is open, or is kept by the call that hangs with its container.
  most('groups', groups, limits.devices + limits.containers + descriptors);
  // A region of a device's memory keeps its file open as well.
  most('files', files, processes.length * (limits.files + limits.regions));
  for (const [i, { groups: its, iommu, ioas, history }] of containers.entries()) {
    const at = `containers/${i}`;
    most(`${at}/groups`, its, groups.length);
    most(`${at}/iommu/emulatedGroups`, iommu?.emulatedGroups, its.length);
    most(`${at}/iommu/domainGroups`, iommu?.domainGroups, its.length);
    most(`${at}/iommu/deviceList`, iommu?.deviceList, devices.length);
    most(`${at}/ioas/accesses`, ioas?.accesses, devices.length);
    most(`${at}/ioas/domainDevices`, ioas?.domainDevices, devices.length);
    most(`${at}/history/lost/devices`, history?.lost?.devices, limits.devices);
  }
}
