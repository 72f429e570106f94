import type { EmulatedMemory } from './emulated-memory.ts';
import type { Errno } from './errno.ts';
import type { ProcessMemory } from './memory.ts';
import type { Process } from './process.ts';
import { type KernelStep, RESCHED, type Task } from './task.ts';

/**
 * fork: the child has copies of all memory (or the memory given), the same limit and capabilities, and every open
 * file at the same number.
 *
 * @param id of the child
 */
export function* fork(
  { kernel }: Task,
  parent: Process,
  id: string,
  memory?: ProcessMemory,
): KernelStep<Process> {
  const copy = memory ?? (parent.emulated && (yield* copyOf(parent.emulated)));
  const child = kernel.createProcess(id, copy ?? undefined);
  child.memlock = parent.memlock;
  child.capIpcLock = parent.capIpcLock;
  child.capSysRawio = parent.capSysRawio;
  parent.files.copyTo(child.files);
  for (const file of child.emulated?.deviceFiles() ?? []) file.users++;
  return child;
}

/** dup_mm of much memory lets others have their turn. */
function* copyOf(memory: EmulatedMemory): KernelStep<EmulatedMemory> {
  const copying = memory.fork();
  for (;;) {
    const { done, value } = copying.next();
    if (done) return value;
    yield RESCHED;
  }
}

/**
 * exec by uid 0: new memory without anything in it (or that given), all capabilities; the files and the limit stay
 * (proc-exec-vaddr-8).
 */
export function* exec(task: Task, process: Process, memory?: ProcessMemory): KernelStep<Errno | null> {
  const { kernel } = task;
  const mapped = process.emulated?.deviceFiles() ?? [];
  const empty = kernel.newMemory();
  empty.clear();
  process.emulated?.release();
  process.takeMm(kernel.newMm(memory ?? empty));
  process.capIpcLock = true;
  process.capSysRawio = true;
  for (const file of [...mapped].reverse()) yield* file.put(task);
  return null;
}

/**
 * do_exit: the memory goes first, then every file is closed, the one opened last before the others; what a mapping of a
 * device's memory held comes last (work of the task that is done in the reverse order).
 */
export function* exit(task: Task, process: Process): KernelStep<void> {
  const { kernel } = task;
  const mapped = process.emulated?.deviceFiles() ?? [];
  process.alive = false;
  process.emulated?.release();
  process.mm.drop();
  kernel.processes.delete(process.id);
  for (const file of process.files.takeAll()) yield* file.put(task);
  for (const file of [...mapped].reverse()) yield* file.put(task);
}
