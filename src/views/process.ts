import { flagNames, PROT_FLAGS } from '../../schemas/values.ts';
import type { ProcessView } from '../../schemas/views.ts';
import type { OpenFile } from '../kernel/files.ts';
import { type MemoryRegion, regionBytes } from '../kernel/memory-region.ts';
import { hex } from '../kernel/pages.ts';
import type { Process } from '../kernel/process.ts';
import { each } from '../kernel/saved/each.ts';
import { Container, type ListOf } from '../kernel/vfio/container.ts';
import { Group } from '../kernel/vfio/group.ts';
import { itemsOf } from '../pause.ts';

/** Regions or files from which on a list of them is long. */
const MANY = 100;

/**
 * A process as GET shows it.
 *
 * @param list makes its long lists: arrays, or what jsonPieces writes as one while the process stays as it is
 */
export function describeProcess(process: Process, list: ListOf = itemsOf): ProcessView {
  const { emulated, mm, files } = process;
  const regions = emulated?.regions ?? [];
  return {
    process: process.id,
    memlock: process.memlock === null ? 'unlimited' : hex(process.memlock),
    capIpcLock: process.capIpcLock,
    capSysRawio: process.capSysRawio,
    memory: emulated && regions.length === 0 && !emulated.isEmpty ? 'everywhere' : 'regions',
    regions: (regions.length < MANY ? itemsOf : list)(each(regions, regionView)),
    files: (files.size < MANY ? itemsOf : list)(each(files.open(), ({ of }) => named(of))),
    lockedPages: mm.lockedVm,
    ...(mm.pinnedVm === 0 ? {} : { pinnedVm: mm.pinnedVm }),
  };
}

function regionView(region: MemoryRegion): ProcessView['regions'][number] {
  const { start, size } = regionBytes(region);
  const { prot, kind, bar } = region;
  const device = bar ? { device: bar.device.id } : {};
  return { start: hex(start), size: hex(size), prot: flagNames(prot, PROT_FLAGS), kind, ...device };
}

function named(of: OpenFile['of']): ProcessView['files'][number] {
  if (of instanceof Container) return { container: of.id };
  return of instanceof Group ? { group: of.id } : { device: of.id };
}
