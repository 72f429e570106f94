import { type Counted, UNCOUNTED } from './counted.ts';
import type { Errno } from './errno.ts';
import type { Process } from './process.ts';
import type { KernelStep, Task } from './task.ts';
import type { Container } from './vfio/container.ts';
import type { Device } from './vfio/device.ts';
import type { Group } from './vfio/group.ts';

/**
 * An open file (struct file): of /dev/vfio/vfio, of a group's node, or of a device. Descriptors hold it, those of the
 * children of a fork too, and mappings of a device's memory; with the last of them it is released.
 */
export class OpenFile {
  /** Descriptors and mappings that hold it (`f_count`). */
  users = 0;
  /** Its last holder is closing it. */
  closing = false;

  /**
   * @param of what it is a file of
   * @param opener who opened it; null: nobody who is here
   * @param release what happens with the last holder
   */
  constructor(
    readonly of: Container | Group | Device,
    readonly opener: Process | null,
    private readonly release: (task: Task) => KernelStep<void>,
  ) {}

  /** fput: one holder less. Where the release would wait for ever, nothing has changed. */
  *put(task: Task): KernelStep<void> {
    if (this.users === 1) {
      this.closing = true;
      try {
        yield* this.release(task);
      } finally {
        this.closing = false;
      }
    }
    this.users--;
  }
}

/** The descriptors of a process: each file it opens gets the lowest number that is free (struct files_struct). */
export class FileTable {
  /** @param descriptors counts those of all processes */
  constructor(private readonly descriptors: Pick<Counted, 'add'> = UNCOUNTED) {}

  private readonly slots: (OpenFile | null)[] = [];
  /** How many descriptors each file has here. */
  private readonly counts = new Map<OpenFile, number>();

  /** The lowest number that is free. */
  get free(): number {
    const hole = this.slots.indexOf(null);
    return hole < 0 ? this.slots.length : hole;
  }

  /** fd_install. */
  add(file: OpenFile): void {
    this.addAt(this.free, file);
  }

  /** The same at a number of its own, from a snapshot. */
  addAt(fd: number, file: OpenFile): void {
    while (this.slots.length <= fd) this.slots.push(null);
    this.slots[fd] = file;
    this.counts.set(file, (this.counts.get(file) ?? 0) + 1);
    file.users++;
    this.descriptors.add();
  }

  has(file: OpenFile): boolean {
    return this.counts.has(file);
  }

  /** Takes the descriptor of a file out; the file is not put yet. */
  remove(file: OpenFile): void {
    this.slots[this.slots.lastIndexOf(file)] = null;
    while (this.slots.at(-1) === null) this.slots.pop();
    this.descriptors.add(-1);
    const left = this.counts.get(file)! - 1;
    if (left > 0) this.counts.set(file, left);
    else this.counts.delete(file);
  }

  /** How many there are, and free numbers below the highest one. */
  get size(): number {
    return this.slots.length;
  }

  /** The files of its descriptors, lowest number first. */
  *open(): Generator<OpenFile, void, void> {
    for (const file of this.slots) if (file) yield file;
  }

  /** Descriptors by number, highest last; a free number is null. */
  list(): readonly (OpenFile | null)[] {
    return this.slots;
  }

  /** dup_fd: the child of a fork has every file at the same number. */
  copyTo(child: FileTable): void {
    for (const [fd, file] of this.slots.entries()) if (file) child.addAt(fd, file);
  }

  /** Empties it; what was open, highest number first, which is the order in which an exit closes (proc-end-three). */
  takeAll(): OpenFile[] {
    this.counts.clear();
    const files = this.slots
      .splice(0)
      .reverse()
      .filter((file) => file !== null);
    this.descriptors.add(-files.length);
    return files;
  }
}

/**
 * get_unused_fd_flags: EMFILE where the caller has as many files open as it may (RLIMIT_NOFILE), ENOMEM beyond what the
 * host holds.
 */
export function refuseFile(task: Task): Errno | null {
  const { process, kernel } = task;
  if (!process) return null;
  if (process.files.free >= kernel.limits.files) {
    return task.refuse('EMFILE', `${process.id} has ${kernel.limits.files} files open, as many as it may`);
  }
  const full = kernel.descriptors.refuse(1);
  return full ? task.refuse('ENOMEM', full) : null;
}

/**
 * Whose descriptor of a file a call uses: that of the process it names, or else of the one that opened it, or, once that
 * has exited, of whoever has it.
 *
 * @returns null where that process has not got it open
 */
export function holderOf(task: Task, file: OpenFile | null): Process | null {
  if (!file) return null;
  const { kernel, process, namesProcess } = task;
  if (namesProcess) return process?.files.has(file) ? process : null;
  const { opener } = file;
  if (opener?.alive) return opener.files.has(file) ? opener : null;
  for (const one of kernel.processes.values()) if (one.files.has(file)) return one;
  return null;
}

/** close: the descriptor that a call uses of a file goes. False where there is none. */
export function* closeFile(task: Task, file: OpenFile | null): KernelStep<boolean> {
  const holder = holderOf(task, file);
  if (!file || !holder || file.closing) return false;
  yield* file.put(task);
  holder.files.remove(file);
  return true;
}
