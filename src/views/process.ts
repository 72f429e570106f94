import { flagNames, PROT_FLAGS } from '../../schemas/values.ts';
import type { ProcessView } from '../../schemas/views.ts';
import type { OpenFile } from '../kernel/files.ts';
import { regionBytes } from '../kernel/memory-region.ts';
import { hex } from '../kernel/pages.ts';
import type { Process } from '../kernel/process.ts';
import { Container } from '../kernel/vfio/container.ts';
import { Group } from '../kernel/vfio/group.ts';

/** A process as GET shows it. */
export function describeProcess(process: Process): ProcessView {
  const { emulated, mm, files } = process;
  const regions = emulated?.regions ?? [];
  return {
    process: process.id,
    memlock: process.memlock === null ? 'unlimited' : hex(process.memlock),
    capIpcLock: process.capIpcLock,
    capSysRawio: process.capSysRawio,
    memory: emulated && regions.length === 0 && !emulated.isEmpty ? 'everywhere' : 'regions',
    regions: regions.map((region) => {
      const { start, size } = regionBytes(region);
      const { prot, kind, bar } = region;
      const device = bar ? { device: bar.device.id } : {};
      return { start: hex(start), size: hex(size), prot: flagNames(prot, PROT_FLAGS), kind, ...device };
    }),
    files: files.list().flatMap((file) => (file ? [named(file.of)] : [])),
    lockedPages: mm.lockedVm,
    ...(mm.pinnedVm === 0 ? {} : { pinnedVm: mm.pinnedVm }),
  };
}

function named(of: OpenFile['of']): ProcessView['files'][number] {
  if (of instanceof Container) return { container: of.id };
  return of instanceof Group ? { group: of.id } : { device: of.id };
}
