import { flagNames, PROT_FLAGS } from '../../schemas/values.ts';
import type { ProcessView } from '../../schemas/views.ts';
import { regionBytes } from '../kernel/emulated-memory.ts';
import { hex } from '../kernel/pages.ts';
import type { Process } from '../kernel/process.ts';

/** A process as GET shows it. */
export function describeProcess(process: Process): ProcessView {
  return {
    process: process.id,
    memlock: process.memlock === null ? 'unlimited' : hex(process.memlock),
    capIpcLock: process.capIpcLock,
    regions: (process.emulated?.regions ?? []).map((region) => {
      const { start, size } = regionBytes(region);
      return { start: hex(start), size: hex(size), prot: flagNames(region.prot, PROT_FLAGS) };
    }),
    lockedPages: process.lockedVm,
  };
}
