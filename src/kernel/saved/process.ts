import { PINNED_VM_MAX } from '../../../schemas/kinds.ts';
import type { SavedProcess } from '../../../schemas/snapshot/process.ts';
import type { SnapshotState } from '../../../schemas/snapshot.ts';
import type { EmulatedMemory } from '../emulated-memory.ts';
import type { OpenFile } from '../files.ts';
import type { Kernel } from '../kernel.ts';
import { Mm } from '../mm.ts';
import { hex } from '../pages.ts';
import { Process } from '../process.ts';
import type { ListOf } from '../vfio/container.ts';
import { checkAscending, checkDifferent, wrong } from './checks.ts';
import { type SavedStores, saveMemory } from './memory.ts';
import { RestoredProcesses } from './owner.ts';

/** A process with its memory, which is emulated, and its descriptors. */
export function saveProcess(
  process: Process,
  memory: EmulatedMemory,
  stores: SavedStores,
  files: ReadonlyMap<OpenFile, number>,
  list: ListOf,
): SavedProcess {
  const { mm, memlock, capIpcLock, capSysRawio } = process;
  const open = process.files.list();
  return {
    process: process.id,
    memlock: memlock === null ? null : hex(memlock),
    lockedVm: mm.lockedVm,
    // Nothing asks how large it is: what is written is no more than may be read.
    ...(mm.pinnedVm === 0
      ? {}
      : { pinnedVm: Math.max(-PINNED_VM_MAX, Math.min(mm.pinnedVm, PINNED_VM_MAX)) }),
    number: process.number,
    mm: mm.number,
    ...(capIpcLock === (memlock === null) ? {} : { capIpcLock }),
    ...(capSysRawio ? {} : { capSysRawio }),
    ...saveMemory(memory, stores, files, list),
    ...(open.some((file) => file) ? { files: list(descriptorsOf(open, files)) } : {}),
  };
}

function* descriptorsOf(
  open: readonly (OpenFile | null)[],
  files: ReadonlyMap<OpenFile, number>,
): Generator<[fd: number, file: number], void> {
  for (const [fd, file] of open.entries()) if (file) yield [fd, files.get(file)!];
}

/** Processes that have exited but opened containers, or own mappings. */
export function exitedProcesses(kernel: Kernel): NonNullable<SnapshotState['exited']> {
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

/** The processes with their limits, without memory yet; and those that have exited but own mappings. */
export function* restoreProcesses(
  kernel: Kernel,
  state: SnapshotState,
  where: string,
): Generator<void, void> {
  const { processes, exited = [], next } = state;
  checkDifferent(
    processes.map(({ process }) => process),
    `${where}/processes`,
  );
  kernel.processes.clear();
  kernel.processCount = next.processNumber ?? processes.length;
  kernel.mmCount = next.mmNumber ?? kernel.processCount;
  const restored = new RestoredProcesses(kernel);
  kernel.restored = restored;
  const numbers: number[] = [];
  for (const [i, saved] of processes.entries()) {
    const process = processOf(kernel, saved, i, `${where}/processes/${i}`);
    kernel.processes.set(saved.process, process);
    restored.add(process);
    numbers.push(process.number);
    if (i % 256 === 255) yield;
  }
  checkAscending(numbers, `${where}/processes`);
  const mms = [...kernel.processes.values()].map(({ mm }) => String(mm.number));
  checkDifferent(mms, `${where}/processes`);
  for (const [i, { process, number, memlock }] of exited.entries()) {
    if (restored.has(number) || number >= kernel.processCount) {
      throw wrong(`${where}/exited/${i}/number`, `is ${number}, which is no process's that has exited`);
    }
    restored.addExited(process, number, memlock === null ? null : BigInt(memlock));
    if (i % 256 === 255) yield;
  }
}

function processOf(kernel: Kernel, saved: SavedProcess, index: number, where: string): Process {
  const { number = index, mm: mmNumber = number, memlock } = saved;
  if (number >= kernel.processCount) {
    throw wrong(`${where}/number`, `is ${number}, but next/processNumber is ${kernel.processCount}`);
  }
  if (mmNumber >= kernel.mmCount)
    throw wrong(`${where}/mm`, `is ${mmNumber}, but next/mmNumber is ${kernel.mmCount}`);
  const mm = new Mm(mmNumber, kernel.newMemory());
  mm.lockedVm = saved.lockedVm;
  mm.pinnedVm = saved.pinnedVm ?? 0;
  const process = new Process(saved.process, number, mm, kernel.descriptors);
  process.setMemlock(memlock === null ? null : BigInt(memlock));
  process.capIpcLock = saved.capIpcLock ?? process.capIpcLock;
  process.capSysRawio = saved.capSysRawio ?? true;
  return process;
}
