import type { SavedOwner } from '../../../schemas/snapshot/process.ts';
import type { Kernel } from '../kernel.ts';
import { Mm } from '../mm.ts';
import { type MappingOwner, Process } from '../process.ts';
import { wrong } from './checks.ts';

/** Whose a mapping is, by numbers; undefined where it is the usual owner's. */
export function saveOwner(owner: MappingOwner, usual: MappingOwner): SavedOwner | undefined {
  return owner === usual ? undefined : { process: owner.process.number, mm: owner.mm.number };
}

/** The processes of a host that is being restored, those that have exited as well. */
export class RestoredProcesses {
  private readonly all = new Map<number, Process>();
  /** Memories that processes have. */
  private readonly memories = new Set<number>();
  private readonly formerOwners = new Map<string, MappingOwner>();

  constructor(private readonly kernel: Kernel) {}

  /** One that is there. */
  add(process: Process): void {
    this.all.set(process.number, process);
    this.memories.add(process.mm.number);
  }

  /** One that has exited, of which only its number, name and limit matter any more. */
  addExited(id: string, number: number, memlock: bigint | null): void {
    const process = new Process(id, number, this.goneMm(0));
    process.alive = false;
    process.memlock = memlock;
    this.all.set(number, process);
  }

  has(number: number): boolean {
    return this.all.has(number);
  }

  /** One that is there, by its number. */
  alive(number: number | null): Process | null {
    const process = this.all.get(number ?? -1);
    return process?.alive ? process : null;
  }

  /** One that has exited. */
  exited(number: number): Process | null {
    const process = this.all.get(number);
    return process && !process.alive ? process : null;
  }

  /**
   * The owner of saved numbers: a process that is there with the memory it has, or one that is gone, or had another
   * memory then.
   */
  owner(saved: SavedOwner, where: string): MappingOwner {
    const key = `${saved.process} ${saved.mm}`;
    const known = this.formerOwners.get(key);
    if (known) return known;
    const process = this.all.get(saved.process);
    if (!process) throw wrong(`${where}/process`, `is ${saved.process}, which is no process's number`);
    if (process.mm.number === saved.mm && process.alive) return process.owner;
    if (saved.mm >= this.kernel.mmCount || this.memories.has(saved.mm)) {
      throw wrong(`${where}/mm`, `is ${saved.mm}, which is not a memory that process had`);
    }
    const owner = { process, mm: this.goneMm(saved.mm) };
    this.formerOwners.set(key, owner);
    return owner;
  }

  private goneMm(number: number): Mm {
    const mm = new Mm(number, this.kernel.newMemory());
    mm.alive = false;
    return mm;
  }
}

/** The owner of saved numbers; the usual one where there are none. */
export function restoreOwner(
  { restored }: Kernel,
  saved: SavedOwner | undefined,
  usual: MappingOwner,
  where: string,
): MappingOwner {
  return saved ? restored!.owner(saved, where) : usual;
}
