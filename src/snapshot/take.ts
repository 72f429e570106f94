import {
  type SavedDevice,
  type SavedGroup,
  type SavedProcess,
  SNAPSHOT_VERSION,
  type Snapshot,
  type SnapshotState,
} from '../../schemas/snapshot.ts';
import { REDACTED } from '../drivers/external/driver.ts';
import { saveModelHosts } from '../drivers/index.ts';
import type { OpenFile } from '../kernel/files.ts';
import { type GuestId, ownGuestId } from '../kernel/guest.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { hex } from '../kernel/pages.ts';
import type { Process } from '../kernel/process.ts';
import { canonical } from '../kernel/saved/canonical.ts';
import { saveLock } from '../kernel/saved/lock.ts';
import type { ListOf } from '../kernel/vfio/container.ts';
import type { Device } from '../kernel/vfio/device.ts';
import type { Group } from '../kernel/vfio/group.ts';
import type { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { describeIommu } from '../views/iommu.ts';
import { saveContainer } from './containers.ts';
import { saveDriver } from './drivers.ts';
import { openFiles, saveFile } from './files.ts';
import { SavedStores, saveMemory } from './memory.ts';
import { codecOf } from './models.ts';

/**
 * The whole state of a machine that has no call under way, as it matters for every later answer. The same state
 * gives the same JSON text, whatever calls led there and whichever slots of its tables hold it.
 *
 * Journal, trace, operations and console are not in it.
 *
 * @param secrets whether the secrets of webhooks are in it; without them it cannot be restored where there are any
 * @param list makes its long lists: arrays, or what jsonPieces writes as one while the machine stays as it is
 * @throws Refused where a process has the memory of a real one
 */
export function takeSnapshot(
  machine: Machine,
  secrets: boolean,
  list: ListOf = (items) => [...items],
): Snapshot {
  const { kernel, faults, counters, policy } = machine;
  const stores = new SavedStores();
  const files = openFiles(kernel);
  const owners = new Map([...kernel.devices.values()].map(({ id, group }) => [group, ownGuestId(id)]));
  return {
    format: 'vfio-host-snapshot',
    version: SNAPSHOT_VERSION,
    kernel: kernel.gen.version,
    state: {
      parameters: {
        ...(kernel.adviseNoCallback ? { adviseNoCallback: true } : {}),
        ...(kernel.allowUnsafeInterrupts ? { allowUnsafeInterrupts: true } : {}),
        ...(kernel.enableUnsafeNoiommuMode ? { enableUnsafeNoiommuMode: true } : {}),
        dmaEntryLimit: kernel.dmaEntryLimit,
        panicOnOops: policy.panicOnOops,
        panicOnWarn: policy.panicOnWarn,
        warnOnPinnedUnmap: kernel.warnOnPinnedUnmap,
      },
      taint: [...kernel.taint],
      warnedOnce: kernel.firedOnce,
      next: {
        container: counters.c,
        device: counters.d,
        group: counters.g,
        process: counters.p,
        fault: faults.count,
        deviceNumber: kernel.deviceCount,
        ...(kernel.callCount > 0 && { call: kernel.callCount }),
        processNumber: kernel.processCount,
        mmNumber: kernel.mmCount,
      },
      faults: faults.list().map(({ rule, seen, struck, paused }) => ({
        rule: canonical(rule),
        seen,
        struck,
        ...(paused ? { paused: true as const } : {}),
      })),
      processes: [...kernel.processes.values()].map((process) => saveProcess(process, stores, files, list)),
      exited: exitedProcesses(kernel),
      files: files.map(saveFile),
      groups: groupsOf(kernel).map((group) => saveGroup(group, owners.get(group))),
      devices: [...kernel.devices.values()].map((device) => saveDevice(device, secrets, stores, list)),
      formerDevices: formerDevices(kernel),
      goneDevices: goneDevices(kernel),
      models: canonical(saveModelHosts(kernel, codecOf(kernel, ''))),
      containers: byId(kernel.containers).map((container) => saveContainer(container, list)),
      stores: stores.list(),
    },
  };
}

function byId<T extends { id: string }>(objects: ReadonlyMap<string, T>): T[] {
  return [...objects.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function saveProcess(
  process: Process,
  stores: SavedStores,
  files: readonly OpenFile[],
  list: ListOf,
): SavedProcess {
  const memory = process.emulated;
  if (!memory) {
    throw new Refused(
      'real-memory',
      `process "${process.id}" has the memory of a real process: a snapshot has no place for it`,
    );
  }
  const { mm, memlock, capIpcLock, capSysRawio } = process;
  const open = process.files
    .list()
    .flatMap((file, fd) => (file ? [[fd, files.indexOf(file)] as [number, number]] : []));
  return {
    process: process.id,
    memlock: memlock === null ? null : hex(memlock),
    lockedVm: mm.lockedVm,
    ...(mm.pinnedVm === 0 ? {} : { pinnedVm: mm.pinnedVm }),
    number: process.number,
    mm: mm.number,
    ...(capIpcLock === (memlock === null) ? {} : { capIpcLock }),
    ...(capSysRawio ? {} : { capSysRawio }),
    ...saveMemory(memory, stores, files, list),
    ...(open.length > 0 ? { files: open } : {}),
  };
}

/** Processes that have exited but opened containers, or own mappings. */
function exitedProcesses(kernel: Kernel): NonNullable<SnapshotState['exited']> {
  const processes = new Set<Process>();
  for (const container of kernel.containers.values()) {
    processes.add(container.process);
    for (const { process } of container.owners()) processes.add(process);
  }
  return [...processes]
    .filter(({ alive }) => !alive)
    .sort((a, b) => a.number - b.number)
    .map(({ id, number, memlock }) => ({
      process: id,
      number,
      memlock: memlock === null ? null : hex(memlock),
    }));
}

/** Devices that were removed while their group's file was open, by number. */
function goneDevices(kernel: Kernel): NonNullable<SnapshotState['goneDevices']> {
  return [...kernel.gone.values()]
    .filter(({ group }) => group.fileOpen)
    .sort((a, b) => a.number - b.number)
    .map(({ id, number, kind, group }) => ({ number, device: id, kind, group: group.id }));
}

/** The groups of devices, and those whose device is gone while a dead task keeps them in a container. */
function groupsOf(kernel: Kernel): Group[] {
  const groups = new Set<Group>();
  for (const { group } of kernel.devices.values()) groups.add(group);
  for (const container of kernel.containers.values()) for (const group of container.groups) groups.add(group);
  for (const { group } of kernel.gone.values()) if (group.fileOpen) groups.add(group);
  return [...groups].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** @param owner the guest its device has of its own; undefined: its device has gone */
function saveGroup(
  { id, emulated, noIommu, revoked, iommu, fdOpen, fileOpen, container, lock, ...group }: Group,
  owner: GuestId | undefined,
): SavedGroup {
  return {
    group: id,
    emulated,
    ...(noIommu ? { noIommu } : {}),
    ...(revoked ? { revoked } : {}),
    ...(iommu?.logged ? { iommu: describeIommu(iommu) } : {}),
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

function saveDevice(device: Device, secrets: boolean, stores: SavedStores, list: ListOf): SavedDevice {
  const { driver } = device;
  const config = driver.config as SavedDevice['driver'] | undefined;
  const hidden = config?.type === 'webhook' && config.secret !== undefined && !secrets;
  return {
    device: device.id,
    number: device.number,
    kind: device.kind,
    group: device.group.id,
    ...(device.boundTo === 'vfio-pci' ? {} : { boundTo: device.boundTo }),
    openCount: device.openCount,
    ...(device.memoryEnabled ? {} : { memoryEnabled: false as const }),
    ...(device.requests === null ? {} : { requests: device.requests }),
    ...(device.bar === null ? {} : { bar: stores.numberOf(device.bar) }),
    driver: config === undefined ? null : canonical(hidden ? { ...config, secret: REDACTED } : config),
    driverState: saveDriver(driver, list),
    driverLock: driver.ownLock ? saveLock(driver.ownLock) : null,
  };
}

/** Devices that were removed but left references behind, or believe they have some. */
function formerDevices(kernel: Kernel): { number: number; device: string }[] {
  // Those that were removed: where none was, nobody is to be looked for.
  if (kernel.deviceNames.size === kernel.devices.size) return [];
  const numbers = new Set<number>();
  for (const container of kernel.containers.values()) {
    for (const holder of container.holders()) numbers.add(holder);
  }
  for (const { number } of kernel.devices.values()) numbers.delete(number);
  return [...numbers].sort((a, b) => a - b).map((number) => ({ number, device: kernel.deviceName(number) }));
}
