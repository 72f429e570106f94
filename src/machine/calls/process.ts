import { flagWord, PROT_FLAGS } from '../../../schemas/values.ts';
import type { Errno } from '../../kernel/errno.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/memory.ts';
import { hex, TOP } from '../../kernel/pages.ts';
import type { Process } from '../../kernel/process.ts';
import type { Task } from '../../kernel/task.ts';
import { address, type CallHandlers, type CallResult, idTaken, NOTHING } from '../call-handler.ts';
import { Refused } from '../refused.ts';

/** Calls on the memory of a process: what its own code would do. */
export const processCalls: CallHandlers<
  'create-process' | 'add-memory-region' | 'set-memlock' | 'fill-memory' | 'write-memory' | 'read-memory'
> = {
  'create-process': (m, _host, args) => {
    const { processes } = m.kernel;
    if (processes.size >= m.limits.processes) throw Refused.tooMany('processes', m.limits.processes);
    if (args.pid !== undefined) m.refuseRealMemory();
    return function* (task) {
      if (args.process !== undefined && processes.has(args.process))
        return idTaken(task, 'process', args.process);
      let id = '';
      const memory = args.pid === undefined ? undefined : m.realMemory(args.pid, () => id);
      if (memory === null)
        return task.refuse('ESRCH', `there is no process ${args.pid} whose memory can be had`);
      id = m.newId('p', args.process, processes);
      return { process: m.kernel.createProcess(id, memory).id };
    };
  },
  'add-memory-region': (m, process, args) => {
    const prot = flagWord(args.prot, PROT_FLAGS);
    const memory = process.emulated;
    if (!memory) {
      throw Refused.badRequest(`the regions of process "${process.id}" are what a real process has mapped`);
    }
    if (memory.regions.length >= m.limits.regions) {
      throw Refused.tooMany('memory regions', m.limits.regions);
    }
    return function* (task) {
      if ((prot & ~(PROT_READ | PROT_WRITE)) !== 0) {
        return task.refuse('EINVAL', `prot 0x${prot.toString(16)} has others than read and write`);
      }
      const start = address(args.start);
      const size = address(args.size);
      const errno = memory.addRegion(start, size, prot);
      return errno ? task.refuse(errno, whyNoRegion(errno, start, size)) : NOTHING;
    };
  },
  'set-memlock': (_m, process, args) => {
    return function* () {
      process.setMemlock(args.bytes === 'unlimited' ? null : address(args.bytes));
      return {};
    };
  },
  'fill-memory': (_m, process, args) => {
    return function* (task) {
      const vaddr = address(args.vaddr);
      if (!reaches(process, vaddr, args.length, PROT_WRITE)) return notThere(task, vaddr, args.length);
      return written(task, vaddr, process.fill(vaddr, args.length, args.byte));
    };
  },
  'write-memory': (_m, process, args) => {
    return function* (task) {
      const vaddr = address(args.vaddr);
      const data = Buffer.from(args.data, 'base64');
      if (!reaches(process, vaddr, data.length, PROT_WRITE)) return notThere(task, vaddr, data.length);
      return written(task, vaddr, process.write(vaddr, data));
    };
  },
  'read-memory': (_m, process, args) => {
    return function* (task) {
      const vaddr = address(args.vaddr);
      if (!reaches(process, vaddr, args.length, PROT_READ | PROT_WRITE))
        return notThere(task, vaddr, args.length);
      return { data: Buffer.from(process.read(vaddr, args.length)).toString('base64') };
    };
  },
};

/** Why a region cannot be made, in words. */
function whyNoRegion(errno: Errno, start: bigint, size: bigint): string {
  const region = `${hex(start)}+${hex(size)}`;
  if (errno === 'EEXIST') return `${region} overlaps a region of the process`;
  return `${region} is not a positive number of pages of 0x1000 below 2^64`;
}

function notThere(task: Task, vaddr: bigint, length: number): Errno {
  return task.refuse(
    'EFAULT',
    `${hex(vaddr)}+${hex(BigInt(length))} is not all memory the process may use so`,
  );
}

function written(task: Task, vaddr: bigint, errno: Errno | null): CallResult {
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
    (length === 0 || process.accessibleBytes(vaddr, length, anyOf) === length)
  );
}
