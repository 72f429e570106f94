import type { Counted } from './counted.ts';
import type { EmulatedMemory } from './emulated-memory.ts';
import { FileTable } from './files.ts';
import type { Mm } from './mm.ts';
import { pageOf } from './pages.ts';

/** Pid of process 0, and the distance between processes: more than there may be pending calls. */
const FIRST_PID = 1000;
const PIDS_PER_PROCESS = 2048;

/** Whose a mapping is: the process whose limit holds, and the memory whose pages are pinned and counted. */
export interface MappingOwner {
  readonly process: Process;
  readonly mm: Mm;
}

/** A user-space process: its memory, its limit, its capabilities, its open files (struct task_struct). */
export class Process {
  /** RLIMIT_MEMLOCK in bytes; null is RLIM_INFINITY. */
  memlock: bigint | null = null;
  /** Whether the process has CAP_IPC_LOCK, which lifts RLIMIT_MEMLOCK. */
  capIpcLock = true;
  /** Whether it has CAP_SYS_RAWIO, without which it may not use a device without an IOMMU. */
  capSysRawio = true;
  /** Whether it has not exited. */
  alive = true;
  readonly files: FileTable;
  private current: MappingOwner;

  /**
   * @param id the name clients use
   * @param number counter, from 0
   * @param descriptors counts those of all processes
   */
  constructor(
    readonly id: string,
    readonly number: number,
    mm: Mm,
    descriptors?: Counted,
  ) {
    this.files = new FileTable(descriptors);
    this.current = { process: this, mm };
  }

  /** Its memory. */
  get mm(): Mm {
    return this.current.mm;
  }

  /** Whose the mappings are that it makes now: the same object until it has another memory. */
  get owner(): MappingOwner {
    return this.current;
  }

  /** Its memory where that is emulated; null where it is a real process's. */
  get emulated(): EmulatedMemory | null {
    return this.mm.emulated;
  }

  /** locked_vm and pinned_vm of its memory, pages. */
  get lockedVm(): number {
    return this.mm.lockedVm;
  }
  get pinnedVm(): number {
    return this.mm.pinnedVm;
  }

  /** Its name as the console has it (`comm`, at most 15 characters). */
  get comm(): string {
    return this.number === 0 ? 'vfio-host' : this.id.slice(0, 15);
  }

  /** Its pid; those above it up to the next process's are its threads'. */
  get pid(): number {
    return FIRST_PID + this.number * PIDS_PER_PROCESS;
  }

  /** RLIMIT_MEMLOCK in pages, rounded down. */
  get memlockPages(): number {
    return this.memlock === null ? Number.POSITIVE_INFINITY : pageOf(this.memlock);
  }

  /** A number also drops CAP_IPC_LOCK; unlimited (null) is the state a process starts in. */
  setMemlock(bytes: bigint | null): void {
    this.memlock = bytes;
    this.capIpcLock = bytes === null;
  }

  /** exec_mmap: other memory from now on. Nobody has the one it had any more. */
  takeMm(mm: Mm): void {
    this.mm.drop();
    this.current = { process: this, mm };
  }
}
