import type { processCalls as entries } from '../../../schemas/calls/process.ts';
import type { CallArgs } from '../../../schemas/calls.ts';
import type { RegionKind } from '../../../schemas/kinds.ts';
import { flagWord, PROT_FLAGS } from '../../../schemas/values.ts';
import type { EmulatedMemory } from '../../kernel/emulated-memory.ts';
import type { Errno } from '../../kernel/errno.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/memory.ts';
import { mmap, munmap } from '../../kernel/mmap.ts';
import { hex, TOP } from '../../kernel/pages.ts';
import type { Process } from '../../kernel/process.ts';
import { exec, exit, fork } from '../../kernel/process-life.ts';
import type { KernelStep, Task } from '../../kernel/task.ts';
import { address, type CallHandlers, type CallResult, idTaken, NOTHING, ok } from '../call-handler.ts';
import { Refused } from '../refused.ts';
import { decoded, inPieces, memoryData } from './bytes.ts';

/** Calls on the memory of a process: what its own code would do. */
export const processCalls: CallHandlers<keyof typeof entries> = {
  'create-process': (machine, _host, args) => {
    const { processes } = machine.kernel;
    if (processes.size >= machine.limits.processes)
      throw Refused.tooMany('processes', machine.limits.processes);
    if (args.pid !== undefined) machine.refuseRealMemory();
    return function* (task) {
      if (args.process !== undefined && processes.has(args.process))
        return idTaken(task, 'process', args.process);
      let id = '';
      const memory = args.pid === undefined ? undefined : machine.realMemory(args.pid, () => id);
      if (memory === null) return task.refuse('ESRCH', noSuchPid(args.pid!));
      id = machine.ids.take('process', args.process);
      return { process: machine.kernel.createProcess(id, memory).id };
    };
  },
  'add-memory-region': (machine, process, args) => {
    const prot = flagWord(args.prot, PROT_FLAGS);
    const memory = memoryOf(process);
    if (memory.regions.length >= machine.limits.regions) {
      throw Refused.tooMany('memory regions', machine.limits.regions);
    }
    const kind = args.kind ?? 'anonymous';
    checkKind(kind, args);
    const mmapArgs = {
      start: address(args.start),
      size: address(args.size),
      prot,
      kind,
      openedForWrite: args.openedForWrite ?? false,
      isPrivate: args.private ?? false,
      device: args.device === undefined ? null : machine.device(args.device),
      offset: address(args.offset ?? 0),
    };
    return function* (task) {
      if ((prot & ~(PROT_READ | PROT_WRITE)) !== 0) return badProt(task, prot);
      return ok(yield* mmap(task, process, memory, mmapArgs));
    };
  },
  'remove-memory-region': (_machine, process, args) => {
    const memory = memoryOf(process);
    return function* (task) {
      return ok(yield* munmap(task, memory, address(args.start), address(args.size)));
    };
  },
  'protect-memory-region': (_machine, process, args) => {
    const prot = flagWord(args.prot, PROT_FLAGS);
    const memory = memoryOf(process);
    return function* (task) {
      if ((prot & ~(PROT_READ | PROT_WRITE)) !== 0) return badProt(task, prot);
      const errno = memory.protect(address(args.start), address(args.size), prot);
      return errno ? task.refuse(errno, PROTECT_REFUSED[errno] ?? errno) : NOTHING;
    };
  },
  'fork-process': (machine, parent, args) => {
    const { processes } = machine.kernel;
    if (processes.size >= machine.limits.processes)
      throw Refused.tooMany('processes', machine.limits.processes);
    if (args.pid !== undefined) machine.refuseRealMemory();
    else if (!parent.emulated) {
      throw Refused.badRequest(
        `body/pid is missing: process "${parent.id}" has the memory of a real process`,
      );
    }
    return function* (task) {
      if (args.child !== undefined && processes.has(args.child)) {
        return task.refuse('EEXIST', `there is a process "${args.child}"`);
      }
      let id = '';
      const memory = args.pid === undefined ? undefined : machine.realMemory(args.pid, () => id);
      if (memory === null) return task.refuse('ESRCH', noSuchPid(args.pid!));
      if (!memory && !parent.emulated!.fitsTwice) {
        return task.refuse(
          'ENOMEM',
          `this host keeps no more pages with contents than it has: a copy of those of "${parent.id}" has no room`,
        );
      }
      const { regions, descriptors } = machine.kernel;
      const full =
        regions.refuse(parent.emulated?.regions.length ?? 0) ?? descriptors.refuse(parent.files.size);
      if (full) return task.refuse('ENOMEM', full);
      id = machine.ids.take('process', args.child);
      const child = yield* fork(task, parent, id, memory);
      return { process: child.id };
    };
  },
  'exec-process': (machine, process, args) => {
    if (args.pid !== undefined) machine.refuseRealMemory();
    return function* (task) {
      const memory = args.pid === undefined ? undefined : machine.realMemory(args.pid, () => process.id);
      if (memory === null) return task.refuse('ESRCH', noSuchPid(args.pid!));
      yield* exec(task, process, memory);
      return NOTHING;
    };
  },
  'exit-process': (_machine, process) =>
    function* (task) {
      yield* exit(task, process);
      return NOTHING;
    },
  'set-capabilities': (_machine, process, args) =>
    function* () {
      for (const [names, on] of [
        [args.drop, false],
        [args.raise, true],
      ] as const) {
        if (names?.includes('CAP_SYS_RAWIO')) process.capSysRawio = on;
        if (names?.includes('CAP_IPC_LOCK')) process.capIpcLock = on;
      }
      return NOTHING;
    },
  'set-memlock': (_machine, process, args) => {
    return function* () {
      process.setMemlock(args.bytes === 'unlimited' ? null : address(args.bytes));
      return {};
    };
  },
  'fill-memory': (_machine, process, args) => {
    return function* (task) {
      const { length, byte } = args;
      const vaddr = address(args.vaddr);
      return yield* write(task, process, vaddr, length, (at, _done, count) =>
        process.mm.fill(at, count, byte),
      );
    };
  },
  'write-memory': (_machine, process, args) => {
    return function* (task) {
      const vaddr = address(args.vaddr);
      const data = yield* decoded(args.data);
      return yield* write(task, process, vaddr, data.length, (at, done, count) =>
        process.mm.write(at, data.subarray(done, done + count)),
      );
    };
  },
  'read-memory': (machine, process, args) => {
    return function* (task) {
      const { length } = args;
      const vaddr = address(args.vaddr);
      if (!reaches(process, vaddr, length, PROT_READ | PROT_WRITE)) return notThere(task, vaddr, length);
      return { data: yield* memoryData(process.mm, vaddr, length, machine.hashesBytes) };
    };
  },
};

const PROTECT_REFUSED: Partial<Record<Errno, string>> = {
  EINVAL: 'start is not a multiple of 4096, or a huge page would be cut',
  ENOMEM: 'a part of the range is no memory: what lies before it is changed',
  EACCES: 'the file was not opened for writing',
};

function badProt(task: Task, prot: number): Errno {
  return task.refuse('EINVAL', `prot 0x${prot.toString(16)} has others than read and write`);
}

function noSuchPid(pid: number): string {
  return `there is no process ${pid} whose memory can be had`;
}

/** The memory of a process that exists here alone. */
function memoryOf({ id, emulated }: Process): EmulatedMemory {
  if (emulated) return emulated;
  throw Refused.badRequest(`the regions of process "${id}" are what a real process has mapped`);
}

/** Arguments that only some kinds of region have. */
function checkKind(kind: RegionKind, args: CallArgs<'add-memory-region'>): void {
  const only = (field: keyof typeof args, of: RegionKind) => {
    if (args[field] !== undefined && kind !== of) {
      throw Refused.badRequest(`body/${field} is for a region of kind "${of}", not "${kind}"`);
    }
  };
  only('openedForWrite', 'file');
  only('private', 'file');
  only('device', 'device');
  only('offset', 'device');
  if (kind === 'device' && args.device === undefined) {
    throw Refused.badRequest('body/device is missing: whose BAR 0 is mapped');
  }
}

function notThere(task: Task, vaddr: bigint, length: number): Errno {
  return task.refuse(
    'EFAULT',
    `${hex(vaddr)}+${hex(BigInt(length))} is not all memory the process may use so`,
  );
}

/** Writes to a range of memory a piece at a time, all of it or nothing. */
function* write(
  task: Task,
  process: Process,
  vaddr: bigint,
  length: number,
  piece: (vaddr: bigint, at: number, length: number) => Errno | null,
): KernelStep<CallResult> {
  if (!reaches(process, vaddr, length, PROT_WRITE)) return notThere(task, vaddr, length);
  const errno = process.mm.noRoomFor(vaddr, length) ?? (yield* inPieces(vaddr, length, piece));
  if (!errno) return NOTHING;
  return task.refuse(
    errno,
    `this host keeps no more pages with contents than it has, and ${hex(vaddr)} would be one more`,
  );
}

/** Whether all of [vaddr, vaddr+length) is memory the process may access so. */
function reaches(process: Process, vaddr: bigint, length: number, anyOf: number): boolean {
  return (
    vaddr + BigInt(length) <= TOP &&
    (length === 0 || process.mm.accessibleBytes(vaddr, length, anyOf) === length)
  );
}
