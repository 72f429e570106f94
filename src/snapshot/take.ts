import type { SavedDevice } from '../../schemas/snapshot/vfio.ts';
import { NEXT_ID_MAX, SNAPSHOT_VERSION, type Snapshot } from '../../schemas/snapshot.ts';
import { hasSecrets, shownWebhook } from '../drivers/external/redact.ts';
import { saveModelHosts } from '../drivers/index.ts';
import type { EmulatedMemory } from '../kernel/emulated-memory.ts';
import { ownGuestId } from '../kernel/guest.ts';
import type { Process } from '../kernel/process.ts';
import { canonical } from '../kernel/saved/canonical.ts';
import { each } from '../kernel/saved/each.ts';
import { openFiles, saveFile } from '../kernel/saved/files.ts';
import { saveParameters } from '../kernel/saved/kernel.ts';
import { saveLock } from '../kernel/saved/lock.ts';
import { SavedStores } from '../kernel/saved/memory.ts';
import { exitedProcesses, saveProcess } from '../kernel/saved/process.ts';
import type { ListOf } from '../kernel/vfio/container.ts';
import type { Device } from '../kernel/vfio/device.ts';
import { saveContainer } from '../kernel/vfio/saved-container.ts';
import { formerDevices, goneDevices, saveDevice } from '../kernel/vfio/saved-device.ts';
import { groupsOf, nameGroups, saveGroup } from '../kernel/vfio/saved-group.ts';
import type { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { saveFaults } from '../machine/saved-faults.ts';
import { itemsOf } from '../pause.ts';
import { saveDriver } from './drivers.ts';
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
export function takeSnapshot(machine: Machine, secrets: boolean, list: ListOf = itemsOf): Snapshot {
  const { kernel, faults, ids, policy } = machine;
  const stores = new SavedStores();
  const groups = groupsOf(kernel);
  nameGroups(groups);
  const files = openFiles(kernel, groups);
  const numbers = new Map(files.map((file, number) => [file, number]));
  const owners = new Map([...kernel.devices.values()].map(({ id, group }) => [group, ownGuestId(id)]));
  return {
    format: 'vfio-host-snapshot',
    version: SNAPSHOT_VERSION,
    kernel: kernel.gen.version,
    state: {
      parameters: {
        ...saveParameters(kernel),
        panicOnOops: policy.panicOnOops,
        panicOnWarn: policy.panicOnWarn,
      },
      taint: [...kernel.taint],
      warnedOnce: kernel.firedOnce,
      next: {
        container: nextId(ids.next.container),
        device: nextId(ids.next.device),
        group: nextId(ids.next.group),
        process: nextId(ids.next.process),
        fault: nextId(faults.count),
        deviceNumber: kernel.deviceCount,
        ...(kernel.callCount > 0 && { call: nextId(kernel.callCount) }),
        processNumber: kernel.processCount,
        mmNumber: kernel.mmCount,
      },
      faults: saveFaults(faults),
      processes: [...kernel.processes.values()].map((process) =>
        saveProcess(process, emulatedOf(process), stores, numbers, list),
      ),
      exited: exitedProcesses(kernel),
      files: list(each(files, saveFile)),
      groups: groups.map((group) => saveGroup(group, owners.get(group))),
      devices: [...kernel.devices.values()].map((device) => saveWithDriver(device, secrets, stores, list)),
      formerDevices: formerDevices(kernel),
      goneDevices: goneDevices(kernel, groups),
      models: canonical(saveModelHosts(kernel, codecOf(kernel, ''), list)),
      containers: byId(kernel.containers).map((container) => saveContainer(container, list)),
      stores: stores.save(list),
    },
  };
}

/** No more than may be read. Ids are looked for from there on, so those that are taken are passed over. */
function nextId(number: number): number {
  return Math.min(number, NEXT_ID_MAX);
}

function byId<T extends { id: string }>(objects: ReadonlyMap<string, T>): T[] {
  return [...objects.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function emulatedOf({ id, emulated }: Process): EmulatedMemory {
  if (emulated) return emulated;
  throw new Refused(
    'real-memory',
    `process "${id}" has the memory of a real process: a snapshot has no place for it`,
  );
}

/** A device with its driver. */
function saveWithDriver(device: Device, secrets: boolean, stores: SavedStores, list: ListOf): SavedDevice {
  const { driver } = device;
  const config = driver.config as SavedDevice['driver'] | undefined;
  const hidden = config?.type === 'webhook' && !secrets && hasSecrets(config);
  return {
    ...saveDevice(device, stores),
    driver: config === undefined ? null : canonical(hidden ? shownWebhook(config) : config),
    driverState: saveDriver(driver, list),
    driverLock: driver.ownLock ? saveLock(driver.ownLock) : null,
  };
}
