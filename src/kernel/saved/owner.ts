import type { SavedOwner } from '../../../schemas/snapshot/process.ts';
import type { Kernel } from '../kernel.ts';
import { Mm } from '../mm.ts';
import { type MappingOwner, Process } from '../process.ts';
import { wrong } from './checks.ts';

/** Whose a mapping is, by numbers; undefined where it is the usual owner's. */
export function saveOwner(owner: MappingOwner, usual: MappingOwner): SavedOwner | undefined {
  return owner === usual ? undefined : { process: owner.process.number, mm: owner.mm.number };
}

/**
 * The owner of saved numbers: a process that is there with the memory it has, or one that is gone, or had another memory
 * then.
 */
export function restoreOwner(
  kernel: Kernel,
  saved: SavedOwner | undefined,
  usual: MappingOwner,
  where: string,
): MappingOwner {
  if (!saved) return usual;
  const { processes, exited } = kernel;
  const key = `${saved.process} ${saved.mm}`;
  const known = kernel.formerOwners.get(key);
  if (known) return known;
  const process = [...processes.values(), ...exited].find(({ number }) => number === saved.process);
  if (!process) throw wrong(`${where}/process`, `is ${saved.process}, which is no process's number`);
  if (process.mm.number === saved.mm && process.alive) return process.owner;
  if (saved.mm >= kernel.mmCount || [...processes.values()].some(({ mm }) => mm.number === saved.mm)) {
    throw wrong(`${where}/mm`, `is ${saved.mm}, which is not a memory that process had`);
  }
  const mm = new Mm(saved.mm, kernel.newMemory());
  mm.alive = false;
  const owner = { process, mm };
  kernel.formerOwners.set(key, owner);
  return owner;
}

/** A process that has exited, of which only its number, name and limit matter any more. */
export function exitedProcess(kernel: Kernel, id: string, number: number, memlock: bigint | null): Process {
  const mm = new Mm(0, kernel.newMemory());
  mm.alive = false;
  const process = new Process(id, number, mm);
  process.alive = false;
  process.memlock = memlock;
  return process;
}
