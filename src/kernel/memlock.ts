import type { Errno } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { addressOf, hex, hexAddress } from './pages.ts';
import type { Process } from './process.ts';
import type { Task } from './task.ts';
import type { Container } from './vfio/container.ts';
import { counted } from './vfio/history.ts';

/** How many containers, and mappings of each, words name. */
const NAMED = 4;
/** How many mappings are looked at for the words of one refusal. */
const LOOKED_AT = 8192;
/** How many other containers are asked whether they have charged the same memory. */
const ASKED = 16;

/** ENOMEM beyond RLIMIT_MEMLOCK, in words: the limit, what is locked, what was asked for, and who holds how much. */
export function refuseMemlock(task: Task, process: Process, pages: number): Errno {
  const { id, lockedVm, memlock } = process;
  const limit = `RLIMIT_MEMLOCK of process ${id} is ${memlock} bytes (${counted(process.memlockPages, 'page')})`;
  const asked = `${lockedVm} locked already, and ${pages} more asked for`;
  return task.refuse('ENOMEM', `${limit}, ${asked}${holders(task.kernel, process)}`);
}

/** `: c0 holds 4096 (0x0+0x1000000: 4096)`, for each container in which the process has locked pages. */
function holders(kernel: Kernel, process: Process): string {
  const held: string[] = [];
  let left = LOOKED_AT;
  for (const container of kernel.containers.values()) {
    if (!container.view) continue;
    const charged: { range: string; pages: number }[] = [];
    for (const { iova, size, owner, lockedPages } of container.view.mappings()) {
      if (left-- <= 0) break;
      if (owner !== process) continue;
      const pages = lockedPages();
      if (pages > 0) charged.push({ range: `${hex(iova)}+${hex(size)}`, pages });
    }
    if (charged.length > 0) held.push(`${container.id} holds ${inMappings(charged)}`);
  }
  if (held.length === 0) return '';
  const more = held.length > NAMED ? `; and ${counted(held.length - NAMED, 'container')} more` : '';
  return `: ${held.slice(0, NAMED).join('; ')}${more}${left < 0 ? '; and others' : ''}`;
}

function inMappings(charged: { range: string; pages: number }[]): string {
  const total = charged.reduce((sum, { pages }) => sum + pages, 0);
  charged.sort((a, b) => b.pages - a.pages);
  const named = charged.slice(0, NAMED).map(({ range, pages }) => `${range}: ${pages}`);
  const more = charged.length > NAMED ? `, and ${counted(charged.length - NAMED, 'mapping')} more` : '';
  return `${total} (${named.join(', ')}${more})`;
}

/** A mapping that was charged, in pages. */
interface Charged {
  readonly iova: number;
  readonly vaddr: number;
  readonly pages: number;
}

/** Notes where another container of the process has charged some of the same memory (CHARGED_TWICE). */
export function adviseChargedTwice(task: Task, container: Container, { iova, vaddr, pages }: Charged): void {
  const { containers } = task.kernel;
  if (containers.size < 2) return;
  let left = ASKED;
  for (const other of containers.values()) {
    if (other === container || other.process !== container.process) continue;
    const there = other.view?.chargedAt(vaddr, vaddr + pages);
    if (there) {
      const range = `vaddr ${hexAddress(vaddr)}+${hexAddress(pages)}`;
      const text = `memory of ${range} is charged in ${container.id} now, and in ${other.id} for ${there}`;
      task.advise('CHARGED_TWICE', [], addressOf(iova), text);
      return;
    }
    if (--left === 0) return;
  }
}
