import { PAGE } from './naive-values.ts';

/** A process of the naive model: regions, bytes page by page, locked pages and the limit on them. */
export class NaiveProcess {
  /** None: every address is valid. */
  readonly regions: { start: bigint; size: bigint; prot: number }[] = [];
  private readonly pages = new Map<bigint, Uint8Array>();
  /** locked_vm, pages. */
  locked = 0n;
  /** RLIMIT_MEMLOCK, bytes; null is unlimited. */
  limit: bigint | null = null;
  capIpcLock = true;

  /** Whether the page at an address can be read (every region can), or written. */
  allows(address: bigint, write: boolean): boolean {
    if (this.regions.length === 0) return true;
    const region = this.regions.find((r) => address >= r.start && address < r.start + r.size);
    return region !== undefined && (!write || (region.prot & 2) !== 0);
  }

  /** Whether the page at an address is the zero page: in a region that cannot be written (and is no huge page). */
  isZeroPage(address: bigint): boolean {
    const region = this.regions.find((r) => address >= r.start && address < r.start + r.size);
    return region !== undefined && (region.prot & 2) === 0;
  }

  /** How many of `length` bytes come before a fault. */
  reachable(address: bigint, length: number, write: boolean): number {
    let reached = 0;
    for (const part of parts(address, length)) {
      if (!this.allows(part.page * PAGE, write)) return reached;
      reached += part.length;
    }
    return length;
  }

  read(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (const part of parts(address, length)) {
      const page = this.pages.get(part.page);
      if (page) bytes.set(page.slice(part.offset, part.offset + part.length), part.done);
    }
    return bytes;
  }

  fill(address: bigint, length: number, byte: number): void {
    for (const part of parts(address, length)) {
      const page = this.pages.get(part.page) ?? new Uint8Array(Number(PAGE));
      this.pages.set(part.page, page.fill(byte, part.offset, part.offset + part.length));
    }
  }
}

/** A range of bytes, cut at page boundaries. */
function parts(address: bigint, length: number) {
  const all: { page: bigint; offset: number; length: number; done: number }[] = [];
  for (let done = 0; done < length; ) {
    const at = address + BigInt(done);
    const offset = Number(at % PAGE);
    const count = Math.min(length - done, Number(PAGE) - offset);
    all.push({ page: at / PAGE, offset, length: count, done });
    done += count;
  }
  return all;
}
