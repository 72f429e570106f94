import { flagWord, PROT_FLAGS } from '../../../schemas/values.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/memory.ts';
import { TOP } from '../../kernel/pages.ts';
import type { Process } from '../../kernel/process.ts';
import { address, type CallHandlers, ok } from '../call-handler.ts';
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
      if (args.process !== undefined && processes.has(args.process)) return 'EEXIST';
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
    return function* () {
      if ((prot & ~(PROT_READ | PROT_WRITE)) !== 0) return 'EINVAL';
      return ok(memory.addRegion(address(args.start), address(args.size), prot));
    };
  },
  'set-memlock': (_m, process, args) => {
    return function* () {
      process.setMemlock(args.bytes === 'unlimited' ? null : address(args.bytes));
      return {};
    };
  },
  'fill-memory': (_m, process, args) => {
    return function* () {
      const vaddr = address(args.vaddr);
      if (!reaches(process, vaddr, args.length, PROT_WRITE)) return 'EFAULT';
      return ok(process.fill(vaddr, args.length, args.byte));
    };
  },
  'write-memory': (_m, process, args) => {
    return function* () {
      const vaddr = address(args.vaddr);
      const data = Buffer.from(args.data, 'base64');
      if (!reaches(process, vaddr, data.length, PROT_WRITE)) return 'EFAULT';
      return ok(process.write(vaddr, data));
    };
  },
  'read-memory': (_m, process, args) => {
    return function* () {
      const vaddr = address(args.vaddr);
      if (!reaches(process, vaddr, args.length, PROT_READ | PROT_WRITE)) return 'EFAULT';
      return { data: Buffer.from(process.read(vaddr, args.length)).toString('base64') };
    };
  },
};

/** Whether all of [vaddr, vaddr+length) is memory the process may access so. */
function reaches(process: Process, vaddr: bigint, length: number, anyOf: number): boolean {
  return (
    vaddr + BigInt(length) <= TOP &&
    (length === 0 || process.accessibleBytes(vaddr, length, anyOf) === length)
  );
}
