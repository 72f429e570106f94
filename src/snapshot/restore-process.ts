import type { SavedProcess, SnapshotState } from '../../schemas/snapshot.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Mm } from '../kernel/mm.ts';
import { Process } from '../kernel/process.ts';
import { checkAscending, checkDifferent, wrong } from '../kernel/saved/checks.ts';
import { exitedProcess } from '../kernel/saved/owner.ts';

/** The processes with their limits, without memory yet; and those that have exited but own mappings. */
export function restoreProcesses(kernel: Kernel, state: SnapshotState, where: string): void {
  const { processes, exited = [], next } = state;
  checkDifferent(
    processes.map(({ process }) => process),
    `${where}/processes`,
  );
  kernel.processes.clear();
  kernel.processCount = next.processNumber ?? processes.length;
  kernel.mmCount = next.mmNumber ?? kernel.processCount;
  const numbers: number[] = [];
  for (const [i, saved] of processes.entries()) {
    const process = processOf(kernel, saved, i, `${where}/processes/${i}`);
    kernel.processes.set(saved.process, process);
    numbers.push(process.number);
  }
  checkAscending(numbers, `${where}/processes`);
  const mms = [...kernel.processes.values()].map(({ mm }) => String(mm.number));
  checkDifferent(mms, `${where}/processes`);
  for (const [i, { process, number, memlock }] of exited.entries()) {
    if (numbers.includes(number) || number >= kernel.processCount) {
      throw wrong(`${where}/exited/${i}/number`, `is ${number}, which is no process's that has exited`);
    }
    kernel.exited.push(exitedProcess(kernel, process, number, memlock === null ? null : BigInt(memlock)));
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
  const process = new Process(saved.process, number, mm);
  process.setMemlock(memlock === null ? null : BigInt(memlock));
  process.capIpcLock = saved.capIpcLock ?? process.capIpcLock;
  process.capSysRawio = saved.capSysRawio ?? true;
  return process;
}
