import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import type { Errno } from '../kernel/errno.ts';
import { PROT_READ, PROT_WRITE, type ProcessMemory } from '../kernel/memory.ts';
import { pageOf } from '../kernel/pages.ts';

/** A part of a real address space: pages, PROT_*. */
export interface Area {
  readonly start: number;
  readonly size: number;
  readonly prot: number;
}

/** Something that was learnt of a real process's memory, on which answers depend. */
export type MemoryFact =
  | { readonly areas: readonly Area[] }
  | { readonly at: bigint; readonly bytes: Uint8Array };

/** Areas that page faults of others do not find: the kernel's own. */
const KERNEL_AREAS = /\[(vvar|vvar_vclock|vsyscall)\]$/;

/**
 * The memory of a process of this machine: what /proc/PID/maps says, and /proc/PID/mem has. Nothing of it is kept:
 * the process changes it as it likes. Once it has ended, no page is there.
 */
export class RealMemory implements ProcessMemory {
  private constructor(
    private readonly pid: number,
    /** When it was started: another process may get its number. */
    private readonly startTime: string,
    private readonly tell: (fact: MemoryFact) => void,
  ) {}

  /**
   * The memory of a process; null where there is none, or it is not ours to read.
   *
   * @param tell told what is learnt of it
   */
  static of(pid: number, tell: (fact: MemoryFact) => void): RealMemory | null {
    const startTime = startTimeOf(pid);
    if (startTime === null) return null;
    const memory = new RealMemory(pid, startTime, tell);
    return memory.openMem('r', () => true) === null ? null : memory;
  }

  accessiblePages(page: number, count: number, anyOf: number): number {
    const areas = this.areas(page, page + count);
    this.tell({ areas });
    let end = page;
    for (const { start, size, prot } of areas) {
      if (start > end || (prot & anyOf) === 0) break;
      end = start + size;
    }
    return Math.min(Math.max(end - page, 0), count);
  }

  /** Which pages were never written is not to be learnt from outside: none counts as that. */
  zeroPages(): number {
    return 0;
  }

  /** The areas that have a page in [from, to), lowest first. */
  private areas(from: number, to: number): Area[] {
    const found: Area[] = [];
    for (const line of this.maps().split('\n')) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])/.exec(line);
      if (!match || KERNEL_AREAS.test(line)) continue;
      const start = pageOf(BigInt(`0x${match[1]}`));
      const end = pageOf(BigInt(`0x${match[2]}`));
      if (end <= from) continue;
      if (start >= to) break;
      const prot = (match[3] === 'r' ? PROT_READ : 0) | (match[4] === 'w' ? PROT_WRITE : 0);
      found.push({ start, size: end - start, prot });
    }
    return found;
  }

  private maps(): string {
    if (startTimeOf(this.pid) !== this.startTime) return '';
    try {
      return readFileSync(`/proc/${this.pid}/maps`, 'latin1');
    } catch {
      return '';
    }
  }

  /** Copies bytes out; what cannot be read is zero. */
  read(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.openMem('r', (fd) => readSync(fd, bytes, 0, length, address));
    this.tell({ at: address, bytes });
    return bytes;
  }

  /** @returns EFAULT where it cannot be written */
  write(address: bigint, data: Uint8Array): Errno | null {
    // @types/node has no bigint for it; node itself takes one, and a number is exact below 2^53.
    const position = Number(address);
    return this.openMem('r+', (fd) => writeSync(fd, data, 0, data.length, position)) === data.length
      ? null
      : 'EFAULT';
  }

  fill(address: bigint, length: number, byte: number): Errno | null {
    return this.write(address, new Uint8Array(length).fill(byte));
  }

  /** What `use` returns; null where the memory cannot be opened, or used so. */
  private openMem<T>(mode: 'r' | 'r+', use: (fd: number) => T): T | null {
    if (startTimeOf(this.pid) !== this.startTime) return null;
    let fd: number | null = null;
    try {
      fd = openSync(`/proc/${this.pid}/mem`, mode);
      return use(fd);
    } catch {
      return null;
    } finally {
      if (fd !== null) closeSync(fd);
    }
  }
}

/** When a process was started, in clock ticks since boot (field 22 of its stat); null where there is none. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may have blanks and parentheses of its own.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
