import type { SavedContainer } from '../../../schemas/snapshot/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { checkDifferent, wrong } from '../saved/checks.ts';
import type { Container, ListOf } from './container.ts';
import type { Group } from './group.ts';

/** A container with what is behind it. */
export function saveContainer(container: Container, list: ListOf): SavedContainer {
  const { id, process, open, groups } = container;
  const history = container.history.save();
  return {
    container: id,
    process: process.id,
    ...(process.alive ? {} : { processNumber: process.number }),
    open,
    groups: groups.map((group) => group.savedAs),
    ...container.save(list),
    ...(history && { history }),
  };
}

/** A container with its groups and what is behind it. Processes, groups and device names are there already. */
export function* restoreContainer(
  kernel: Kernel,
  groups: ReadonlyMap<string, Group>,
  saved: SavedContainer,
  where: string,
): Generator<void, void> {
  const process =
    saved.processNumber === undefined
      ? kernel.processes.get(saved.process)
      : kernel.restored!.exited(saved.processNumber);
  if (!process) throw wrong(`${where}/process`, `is "${saved.process}", which is no process of the snapshot`);
  const container = kernel.makeContainer(saved.container, process);
  container.open = saved.open;
  checkDifferent(saved.groups, `${where}/groups`);
  for (const id of saved.groups) {
    const group = groups.get(id);
    if (!group) throw wrong(`${where}/groups`, `has "${id}", which is no group of the snapshot`);
    if (group.container) throw wrong(`${where}/groups`, `has "${id}", which is in another container too`);
    group.container = container;
    group.containerUsers = 1;
    container.groups.push(group);
  }
  if (saved.history) container.history.restore(saved.history, `${where}/history`);
  yield* container.restore(saved, where);
}
