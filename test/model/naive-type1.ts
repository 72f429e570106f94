import type { NaiveProcess } from './naive-process.ts';
import {
  big,
  type Call,
  hex,
  isAligned,
  Killed,
  keys,
  PAGE,
  pageOf,
  type Result,
  TOP,
  type Trail,
  Wedged,
} from './naive-values.ts';

export interface Pin {
  key: bigint;
  /** The device of each reference. The kernel does not know; the service's listings do. */
  refs: string[];
  /** Whether its page counts in locked_vm. */
  charged: boolean;
}

export interface Mapping {
  iova: bigint;
  size: bigint;
  vaddr: bigint;
  prot: number;
  lockCap: boolean;
  pins: Pin[];
  /** The kernel's bitmap as one number, bits 0 to 64·(ceil(pages/64)+1)-1. */
  dirty: bigint;
}

/** A device that type1 calls back. */
export interface Listener {
  id: string;
  dmaUnmap(iova: bigint, length: bigint): void;
}

const WORD = (1n << 64n) - 1n;
const end = (m: Mapping) => m.iova + m.size;
const words = (bits: bigint) => (bits + 63n) / 64n;

/** The type1 driver of the naive model behind one container; section numbers are those of the contract. */
export class NaiveType1 {
  /** Devices with dma_unmap, the one opened last first. */
  listening: Listener[] = [];
  private tracking = false;
  /** A task died holding iommu->lock. */
  private dead = false;
  private readonly pages = new Map<bigint, Mapping>();

  constructor(
    readonly type: number,
    private readonly process: NaiveProcess,
    public dmaAvail: number,
    private readonly trail: () => Trail,
  ) {}

  private get v2(): boolean {
    return this.type !== 1;
  }

  /** Every mapping, lowest first. */
  mappings(): Mapping[] {
    return [...new Set(this.pages.values())].sort((a, b) => (a.iova < b.iova ? -1 : 1));
  }

  /** Takes iommu->lock, which a dead task may hold for ever. */
  lock(): void {
    if (this.dead) throw new Wedged();
  }

  private at(address: bigint): Mapping | undefined {
    return this.pages.get(pageOf(address));
  }

  /** Whether a new mapping's start, or a pin's key, would make a pin's 4096 bytes lie in two mappings or below one. */
  straddles(key: bigint): boolean {
    const upper = this.at(key + PAGE - 1n);
    return upper !== undefined && upper !== this.at(key);
  }

  /** 2.7. */
  map(call: Call): Result {
    const [iova, vaddr, size] = [big(call.iova), big(call.vaddr), big(call.size)];
    const flags = call.flags as number;
    if (![1, 2, 3, 4].includes(flags)) return 'EINVAL';
    this.lock();
    if (size === 0n || !isAligned(size) || !isAligned(iova) || !isAligned(vaddr)) return 'EINVAL';
    if (iova + size > TOP || vaddr + size > TOP) return 'EINVAL';
    const overlap = this.mappings().some((m) => m.iova < iova + size && iova < end(m));
    // With an emulated group no vaddr can be invalid.
    if (flags === 4) return overlap ? 'EINVAL' : 'ENOENT';
    if (overlap) return 'EEXIST';
    if (this.dmaAvail === 0) return 'ENOSPC';
    this.dmaAvail--;
    const lockCap = this.process.capIpcLock;
    const mapping: Mapping = { iova, size, vaddr, prot: flags, lockCap, pins: [], dirty: 0n };
    for (let page = pageOf(iova); page < pageOf(iova + size); page++) this.pages.set(page, mapping);
    return { iova: hex(iova), size: hex(size) };
  }

  private remove(mapping: Mapping): void {
    for (const [page, m] of [...this.pages]) if (m === mapping) this.pages.delete(page);
    this.dmaAvail++;
  }

  /** The bisect checks of 2.8 step 10. */
  private bisects(iova: bigint, size: bigint): boolean {
    const [first, last] = [this.at(iova), this.at(iova + size - 1n)];
    return (first !== undefined && first.iova !== iova) || (last !== undefined && end(last) !== iova + size);
  }

  /** 2.8 and, where pins are in the way, section 3. */
  unmap(call: Call): Result {
    const iova = big(call.iova);
    const flags = (call.flags ?? 0) as number;
    let size = big(call.size);
    const getDirty = flags === 1;
    if (flags > 7 || (flags & 1 && !getDirty)) return 'EINVAL';
    if (getDirty && (call.pageSize === undefined || badBitmap(size, big(call.pageSize)))) return 'EINVAL';
    this.lock();
    if (flags & 4) return 'EBUSY';
    if (!isAligned(iova)) return 'EINVAL';
    const all = flags === 2;
    if (all && (iova !== 0n || size !== 0n)) return 'EINVAL';
    if (!all && (size === 0n || !isAligned(size) || iova + size > TOP)) return 'EINVAL';
    if (getDirty && (!this.tracking || big(call.pageSize) !== PAGE)) return 'EINVAL';
    if (all) size = TOP - 1n;
    const buffer: bigint[] = [];
    let unmapped = 0n;
    let last: Mapping | null = null;
    let retries = 0;
    for (let first = true; ; first = false) {
      if (this.v2 && !all && this.bisects(iova, size)) {
        if (first) return 'EINVAL';
        break;
      }
      let pinned: Mapping | null = null;
      // A range that ends at 2^64 finds nothing (2.0).
      for (const m of iova + size === TOP ? [] : this.mappings()) {
        if (m.iova >= iova + size || end(m) <= iova) continue;
        if (!this.v2 && iova > m.iova) break;
        if (m.pins.length > 0) {
          pinned = m;
          break;
        }
        if (getDirty) this.report(m, iova, buffer);
        unmapped += m.size;
        this.remove(m);
      }
      if (!pinned) break;
      retries = pinned === last ? retries + 1 : 0;
      last = pinned;
      if (retries > 10) this.bug();
      for (const device of this.listening) {
        const { iova: start, size: length } = pinned;
        this.trail().invalidations.push({ device: device.id, iova: hex(start), length: hex(length) });
        device.dmaUnmap(start, length);
      }
    }
    return { size: hex(unmapped), ...(getDirty ? { dirtyPages: dirtyIndexes(buffer) } : {}) };
  }

  private bug(): never {
    this.trail().log.push({ kind: 'BUG_ON', what: '++retries > 10' });
    this.dead = true;
    throw new Killed();
  }

  /** 2.9, START and STOP. */
  track(on: boolean): Result {
    if (!this.v2) return 'EACCES';
    this.lock();
    if (on && this.tracking) return {};
    this.tracking = on;
    for (const m of this.mappings()) {
      m.dirty = 0n;
      if (on) markPinned(m);
    }
    return {};
  }

  /** 2.9, GET_BITMAP. */
  dirtyGet(call: Call): Result {
    const [iova, size, pageSize] = [big(call.iova), big(call.size), big(call.pageSize)];
    if (!this.v2) return 'EACCES';
    if (iova + size >= TOP || badBitmap(size, pageSize)) return 'EINVAL';
    this.lock();
    if (pageSize !== PAGE || !isAligned(iova) || !isAligned(size) || !this.tracking) return 'EINVAL';
    if (this.bisects(iova, size)) return 'EINVAL';
    const buffer: bigint[] = [];
    for (const m of this.mappings().filter((one) => one.iova >= iova && one.iova < iova + size)) {
      this.report(m, iova, buffer);
      const pages = m.size / PAGE;
      m.dirty = (m.dirty >> pages) << pages;
      markPinned(m);
    }
    return { dirtyPages: dirtyIndexes(buffer) };
  }

  /** The copy-out of 2.9, shift artefact and all. */
  private report(m: Mapping, base: bigint, buffer: bigint[]): void {
    const bit = (m.iova - base) / PAGE;
    const [word, shift] = [Number(bit / 64n), bit % 64n];
    const count = words(m.size / PAGE + shift);
    if (shift !== 0n) {
      const mask = (1n << (64n * count)) - 1n;
      m.dirty = (m.dirty & ~mask) | ((m.dirty << shift) & mask) | (buffer[word] ?? 0n);
    }
    for (let i = 0; i < Number(count); i++) buffer[word + i] = (m.dirty >> (64n * BigInt(i))) & WORD;
  }

  /** The mapping that 4096 bytes at `key` lie in, be it in part. */
  private around(key: bigint): Mapping | undefined {
    return this.at(key) ?? this.at(key + PAGE - 1n);
  }

  /** 2.10. */
  pin(device: string, iova: bigint, npage: number, prot: number): Result {
    if (!this.v2) return 'EACCES';
    this.lock();
    if (this.listening.length === 0) return 'EINVAL';
    const done: bigint[] = [];
    for (const key of keys(iova, npage)) {
      const errno = this.pinOne(device, key, prot);
      if (errno) {
        for (const one of done) this.unpinOne(device, one);
        return errno;
      }
      done.push(key);
    }
    return { pinned: npage };
  }

  private pinOne(device: string, key: bigint, prot: number): string | null {
    const m = this.around(key);
    if (!m) return 'EINVAL';
    if ((prot & ~m.prot) !== 0) return 'EPERM';
    const pinned = m.pins.find((pin) => pin.key === key);
    if (pinned) {
      pinned.refs.push(device);
      return null;
    }
    const { process } = this;
    if (!process.allows(m.vaddr + (key - m.iova), (m.prot & 2) !== 0)) return 'EFAULT';
    // The zero page is neither charged nor limited.
    const charged = !process.isZeroPage(m.vaddr + (key - m.iova));
    const { limit } = process;
    if (charged && !m.lockCap && limit !== null && process.locked + 1n > limit / PAGE) {
      const what = `vfio_pin_page_external: Task COMM (PID) RLIMIT_MEMLOCK (${limit}) exceeded`;
      this.trail().log.push({ kind: 'PR_WARN', what });
      return 'ENOMEM';
    }
    if (charged) process.locked++;
    m.pins.push({ key, refs: [device], charged });
    if (this.tracking) m.dirty |= 1n << pageOf(key - m.iova);
    return null;
  }

  /** 2.11. */
  unpin(device: string, iova: bigint, npage: number): void {
    const warn = (what: string) => this.trail().log.push({ kind: 'WARN_ON', what });
    if (!this.v2) {
      warn('!iommu->v2');
      return;
    }
    this.lock();
    if (!keys(iova, npage).every((key) => this.unpinOne(device, key))) warn('i != npage');
  }

  private unpinOne(device: string, key: bigint): boolean {
    // Where the 4096 bytes straddle two mappings, neither has such a pin.
    const m = this.around(key);
    const pin = m?.pins.find((one) => one.key === key);
    if (!m || !pin) return m !== undefined;
    const owner = pin.refs.includes(device) ? device : pin.refs[0]!;
    pin.refs.splice(pin.refs.lastIndexOf(owner), 1);
    if (pin.refs.length === 0) {
      m.pins.splice(m.pins.indexOf(pin), 1);
      if (pin.charged) this.process.locked--;
    }
    return true;
  }

  /** 2.12; a write has `fill`. */
  dmaRw(call: Call): Result {
    const write = call.write === true;
    const length = call.length as number;
    this.lock();
    const read = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = big(call.iova) + BigInt(done);
      const m = this.at(at);
      if (!m) return 'EINVAL';
      if ((m.prot & 1) === 0 || (write && (m.prot & 2) === 0)) return 'EPERM';
      const count = Math.min(length - done, Number(end(m) - at));
      const vaddr = m.vaddr + (at - m.iova);
      // What comes before a fault has been copied.
      const reached = this.process.reachable(vaddr, count, write);
      if (write) this.process.fill(vaddr, reached, call.fill as number);
      else read.set(this.process.read(vaddr, reached), done);
      if (reached < count) return 'EFAULT';
      for (let page = pageOf(at); write && this.tracking && page <= pageOf(at + BigInt(count) - 1n); page++) {
        m.dirty |= 1n << (page - pageOf(m.iova));
      }
      done += count;
    }
    return write ? {} : { data: Buffer.from(read).toString('base64') };
  }
}

/** The bitmap's size rule of 2.8 step 4, for a buffer of just the right size. */
function badBitmap(size: bigint, pageSize: bigint): boolean {
  if (pageSize === 0n) return true;
  const bits = size / (pageSize & -pageSize);
  return bits === 0n || words(bits) * 8n > 1n << 28n;
}

function markPinned(mapping: Mapping): void {
  for (const { key } of mapping.pins) mapping.dirty |= 1n << pageOf(key - mapping.iova);
}

/** Indexes of the set bits of a user's buffer of 64-bit words. */
function dirtyIndexes(buffer: readonly bigint[]): number[] {
  const indexes: number[] = [];
  buffer.forEach((word, i) => {
    for (let bit = 0n; bit < 64n; bit++) if ((word >> bit) & 1n) indexes.push(i * 64 + Number(bit));
  });
  return indexes;
}
