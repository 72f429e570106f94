import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import type { Errno } from '../kernel/errno.ts';
import { PROT_READ, PROT_WRITE, type ProcessMemory } from '../kernel/memory.ts';

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

/** Address of a page in hex, without what is within the page. */
const PAGE_DIGITS = 3;

/** What maps is read into, piece by piece; it grows with the longest. */
let buffer: Buffer = Buffer.alloc(64 * 1024);

/**
 * The memory of a process of this machine: what /proc/PID/maps says, and /proc/PID/mem has. Nothing of it is kept:
 * the process changes it as it likes. The files are opened once, so that they are those of this very memory: once
 * the process has ended, or runs another program, no page is there.
 */
export class RealMemory implements ProcessMemory {
  /** Whether its process has gone, or has other memory. */
  closed = false;

  private constructor(
    private readonly maps: number,
    private readonly mem: number,
    private readonly tell: (fact: MemoryFact) => void,
  ) {}

  /**
   * The memory of a process; null where there is none, or it is not ours to have.
   *
   * @param tell told what is learnt of it
   */
  static of(pid: number, tell: (fact: MemoryFact) => void): RealMemory | null {
    const maps = open(`/proc/${pid}/maps`, 'r');
    if (maps === null) return null;
    const mem = open(`/proc/${pid}/mem`, 'r+');
    if (mem !== null) return new RealMemory(maps, mem, tell);
    closeSync(maps);
    return null;
  }

  /** Lets the files go. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    closeSync(this.maps);
    closeSync(this.mem);
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

  readonly isPlain = true;

  /** Which pages were never written is not to be learnt from outside: none counts as that. */
  zeroPages(): number {
    return 0;
  }

  devicePages(): number {
    return 0;
  }

  deviceFrame(): null {
    return null;
  }

  faultToWrite(): void {}

  noRoomFor(): null {
    return null;
  }

  /** The areas that have a page in [from, to), lowest first. */
  private areas(from: number, to: number): Area[] {
    if (this.closed) return [];
    const text = this.readMaps();
    const found: Area[] = [];
    for (let at = 0, end = text.indexOf('\n'); end >= 0; at = end + 1, end = text.indexOf('\n', at)) {
      const dash = text.indexOf('-', at);
      const blank = text.indexOf(' ', dash);
      const last = Number.parseInt(text.slice(dash + 1, blank - PAGE_DIGITS), 16);
      if (last <= from) continue;
      const start = Number.parseInt(text.slice(at, dash - PAGE_DIGITS), 16);
      if (start >= to) break;
      if (KERNEL_AREAS.test(text.slice(blank, end))) continue;
      const prot = (text[blank + 1] === 'r' ? PROT_READ : 0) | (text[blank + 2] === 'w' ? PROT_WRITE : 0);
      found.push({ start, size: last - start, prot });
    }
    return found;
  }

  private readMaps(): string {
    let size = 0;
    for (;;) {
      if (size === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2);
      const n = readSync(this.maps, buffer, size, buffer.length - size, size);
      if (n === 0) return buffer.toString('latin1', 0, size);
      size += n;
    }
  }

  /** Copies bytes out; what cannot be read is zero. */
  read(address: bigint, length: number, bytes: Uint8Array = new Uint8Array(length)): Uint8Array {
    if (this.closed) return bytes.fill(0);
    let count = 0;
    try {
      count = readSync(this.mem, bytes, 0, length, address);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
    }
    bytes.fill(0, count);
    this.tell({ at: address, bytes });
    return bytes;
  }

  /** @returns EFAULT where it cannot be written */
  write(address: bigint, data: Uint8Array): Errno | null {
    if (this.closed) return 'EFAULT';
    try {
      // Addresses of programs are below 2^47, where a number is exact.
      return writeSync(this.mem, data, 0, data.length, Number(address)) === data.length ? null : 'EFAULT';
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
      return 'EFAULT';
    }
  }

  fill(address: bigint, length: number, byte: number): Errno | null {
    return this.write(address, new Uint8Array(length).fill(byte));
  }
}

/** Opens a file of a process; null where there is none of it, or it is not ours. */
function open(path: string, flags: string): number | null {
  try {
    return openSync(path, flags);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return null;
    throw error;
  }
}
