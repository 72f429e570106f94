import type { SnapshotState } from '../../schemas/snapshot.ts';
import { wrong } from '../kernel/saved/checks.ts';

/** Items that are looked at between two stops. */
const WORK_MAX = 1024;

/**
 * Checks that what a snapshot keeps for the sake of others is theirs, before anything is made of it: a process that has
 * exited opened a container or owns a mapping, a device that is gone holds a reference or believes so, and contents are
 * those of a region or a device.
 *
 * @throws WrongState for one that nothing names, which no snapshot has
 */
export function* checkNamed(state: SnapshotState, where: string): Generator<void, void> {
  const { exited = [], formerDevices, stores = [] } = state;
  const check = function* (
    field: string,
    numbers: Iterable<number>,
    named: ReadonlySet<number>,
    rule: string,
  ) {
    let i = 0;
    for (const number of numbers) {
      if (!named.has(number)) throw wrong(`${where}/${field}/${i}`, rule);
      if (++i % WORK_MAX === 0) yield;
    }
  };
  if (stores.length > 0) {
    const rule = 'is the contents of no region and no device';
    yield* check('stores', stores.keys(), yield* setOf(namedStores(state)), rule);
  }
  if (exited.length > 0) {
    const rule = 'is of a process that has exited, but neither opened a container nor owns a mapping';
    const numbers = exited.map(({ number }) => number);
    yield* check('exited', numbers, yield* setOf(namedProcesses(state)), rule);
  }
  if (formerDevices.length > 0) {
    const rule = 'is of a former device that holds no reference';
    const numbers = formerDevices.map(({ number }) => number);
    yield* check('formerDevices', numbers, yield* setOf(namedDevices(state)), rule);
  }
}

function* setOf(numbers: Iterable<number | undefined>): Generator<void, Set<number>> {
  const set = new Set<number>();
  let work = 0;
  for (const number of numbers) {
    if (number !== undefined) set.add(number);
    if (++work % WORK_MAX === 0) yield;
  }
  return set;
}

function* namedStores({ processes, devices }: SnapshotState): Generator<number | undefined, void, void> {
  for (const { regions } of processes) for (const { store } of regions) yield store;
  for (const { bar } of devices) yield bar;
}

function* namedProcesses({ containers }: SnapshotState): Generator<number | undefined, void, void> {
  for (const { processNumber, owner, iommu, ioas } of containers) {
    yield processNumber;
    yield owner?.process;
    for (const mapping of iommu?.mappings ?? []) yield mapping.owner?.process;
    for (const area of ioas?.areas ?? []) yield area.owner?.process;
  }
}

function* namedDevices({ containers }: SnapshotState): Generator<number | undefined, void, void> {
  for (const { iommu, ioas } of containers) {
    for (const { device } of iommu?.stolen ?? []) yield device;
    for (const { device } of ioas?.stolen ?? []) yield device;
    for (const { pins } of iommu?.mappings ?? ioas?.areas ?? []) {
      // One without pins is work as well.
      yield undefined;
      for (const { holders } of pins) for (const [device] of holders) yield device;
    }
  }
}
