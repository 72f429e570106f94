import type { NaiveProcess } from './naive-process.ts';
import { big, type Call, hex, PAGE, pageOf, type Result, TOP, type Trail } from './naive-values.ts';

/** A pin of one mapping's part of a range: first and last page of the process's memory. */
export interface Access {
  first: bigint;
  last: bigint;
  /** The device of each reference. The kernel does not know; the service's listings do. */
  refs: string[];
}

/** The memory that a mapping, or the pieces it was cut into, is made of. */
interface Memory {
  writable: boolean;
  accounted: boolean;
  accesses: Access[];
}

export interface Area {
  iova: bigint;
  size: bigint;
  vaddr: bigint;
  prot: number;
  memory: Memory;
  closed: boolean;
  /** Pins in it. */
  users: number;
}

/** An mdev that is attached. */
export interface Attached {
  id: string;
  listens: boolean;
  dmaUnmap(iova: bigint, length: bigint): void;
}

const last = (area: Area) => area.iova + area.size - 1n;

/** The IOMMU's usable addresses, as the recordings' virtual machine has it. */
const isUsable = (address: bigint) => address < 0x80_0000_0000n && address >> 20n !== 0xfeen;

/**
 * The iommufd context of the naive model: what its one IOAS knows. Arrays are walked, page sets made anew whenever
 * pages are counted; section numbers are those of the iommufd corrections.
 */
export class NaiveIommufd {
  areas: Area[] = [];
  /** Attached mdevs by slot. */
  readonly slots: (Attached | null)[] = [];
  /** Attached devices behind the IOMMU. */
  readonly behind = new Set<string>();
  type1 = false;

  constructor(
    private readonly process: NaiveProcess,
    private readonly trail: () => Trail,
  ) {}

  private warn(what: string): void {
    this.trail().log.push({ kind: 'WARN_ON', what });
  }

  /** 15. */
  private get alignment(): bigint {
    return this.type1 || this.behind.size > 0 || this.slots.some((one) => one) ? PAGE : 1n;
  }

  private unaligned(): boolean {
    return this.areas.some((area) => (area.iova | area.size | area.vaddr) % PAGE !== 0n);
  }

  private sorted(): Area[] {
    return [...this.areas].sort((a, b) => (a.iova < b.iova ? -1 : 1));
  }

  private at(address: bigint): Area | undefined {
    return this.areas.find((area) => area.iova <= address && address <= last(area));
  }

  /** Pages of a memory that are pinned, by an mdev or by the domain. */
  private pinned(memory: Memory): Set<bigint> {
    const pages = new Set<bigint>();
    const add = (first: bigint, count: bigint) => {
      for (let i = 0n; i < count; i++) pages.add(first + i);
    };
    for (const access of memory.accesses) add(access.first, access.last - access.first + 1n);
    if (this.behind.size > 0) {
      for (const area of this.areas) if (area.memory === memory) add(pageOf(area.vaddr), area.size / PAGE);
    }
    return pages;
  }

  /** Runs a change; where it pins more pages than may be it is undone: EFAULT, then ENOMEM (29, 33). */
  private pinning(memories: Memory[], change: () => void, undo: () => void): string | null {
    const before = memories.map((memory) => this.pinned(memory));
    change();
    let errno: string | null = null;
    for (const [i, memory] of memories.entries()) {
      const fresh = [...this.pinned(memory)].filter((page) => !before[i]!.has(page));
      const more =
        BigInt(fresh.length) - BigInt([...before[i]!].filter((p) => !this.pinned(memory).has(p)).length);
      if (!fresh.every((page) => this.process.allows(page * PAGE, memory.writable))) errno ??= 'EFAULT';
      const { limit } = this.process;
      if (
        !errno &&
        memory.accounted &&
        more > 0n &&
        limit !== null &&
        this.process.locked + more > limit / PAGE
      ) {
        errno = 'ENOMEM';
      }
      if (!errno && memory.accounted) this.process.locked += more;
    }
    if (errno) undo();
    return errno;
  }

  /** 4. */
  setIommu(type: number): Result {
    if (type !== 1 || this.type1) return {};
    if (this.behind.size > 0 && this.areas.length > 0) return 'EINVAL';
    if (this.unaligned()) return 'EADDRINUSE';
    this.type1 = true;
    return {};
  }

  /** 11, 21. */
  attach(device: Attached): string | null {
    if (this.unaligned()) return 'EADDRINUSE';
    const free = this.slots.indexOf(null);
    if (free < 0) this.slots.push(device);
    else this.slots[free] = device;
    return null;
  }

  detach(device: Attached): void {
    this.slots[this.slots.indexOf(device)] = null;
  }

  /** 11, 17; a mapping at a time, lowest first. */
  attachDomain(id: string): string | null {
    if (this.behind.size > 0) {
      this.behind.add(id);
      return null;
    }
    if (this.unaligned()) return 'EADDRINUSE';
    for (const area of this.areas) {
      for (let page = area.iova; page <= last(area); page += PAGE) if (!isUsable(page)) return 'EADDRINUSE';
    }
    const areas = this.areas;
    const { locked } = this.process;
    this.areas = [];
    this.behind.add(id);
    for (const area of [...areas].sort((a, b) => (a.iova < b.iova ? -1 : 1))) {
      const errno = this.enter(area);
      if (!errno) continue;
      this.process.locked = locked;
      this.behind.clear();
      this.areas = areas;
      return errno;
    }
    return null;
  }

  /** A mapping's way into the domain. */
  private enter(area: Area): string | null {
    const change = () => this.areas.push(area);
    const undo = () => this.areas.splice(this.areas.indexOf(area), 1);
    const pages = Array.from({ length: Number(area.size / PAGE) }, (_, i) => area.vaddr + BigInt(i) * PAGE);
    const covered = (page: bigint) =>
      area.memory.accesses.some((a) => a.first * PAGE <= page && page <= a.last * PAGE);
    if (!pages.every((page) => covered(page) || this.process.allows(page, area.memory.writable)))
      return 'EFAULT';
    if (area.prot === 0) return 'EINVAL';
    return this.pinning([area.memory], change, undo);
  }

  detachDomain(id: string): void {
    const memories = [...new Set(this.areas.map((area) => area.memory))];
    this.pinning(
      memories,
      () => this.behind.delete(id),
      () => {},
    );
  }

  /** 13 to 18. */
  map(call: Call): Result {
    const [iova, vaddr, size] = [big(call.iova), big(call.vaddr), big(call.size)];
    const prot = call.flags as number;
    if (size === 0n || size > TOP - 1n - PAGE) return 'EINVAL';
    if (vaddr + size >= TOP) return 'EOVERFLOW';
    const { alignment } = this;
    if (size % alignment !== 0n || iova % alignment !== 0n) return 'EINVAL';
    if (iova + size > TOP) return 'EOVERFLOW';
    if (this.behind.size > 0) {
      for (let page = iova; page < iova + size; page += PAGE) if (!isUsable(page)) return 'EINVAL';
    }
    if (this.areas.some((area) => area.iova < iova + size && iova <= last(area))) return 'EEXIST';
    if (vaddr % alignment !== 0n) return 'EINVAL';
    const memory: Memory = { writable: (prot & 2) !== 0, accounted: !this.process.capIpcLock, accesses: [] };
    const area: Area = { iova, size, vaddr, prot, memory, closed: false, users: 0 };
    if (this.behind.size > 0) {
      const errno = this.enter(area);
      if (errno) return errno;
    } else {
      this.areas.push(area);
    }
    return { iova: hex(iova), size: hex(size) };
  }

  private remove(area: Area): void {
    const change = () => this.areas.splice(this.areas.indexOf(area), 1);
    this.pinning([area.memory], change, () => {});
  }

  /** 19 to 26; the size beside an errno is `size`. */
  unmap(call: Call): { errno: string | null; size?: bigint } {
    const [iova, size] = [big(call.iova), big(call.size)];
    if (call.flags === 2) {
      return iova === 0n && size === 0n ? this.walk(0n, TOP - 1n) : { errno: 'EINVAL' };
    }
    const end = BigInt.asUintN(64, iova + size - 1n);
    const cuts = !this.type1 ? [] : iova === 0n ? [end] : [end, iova - 1n];
    for (const cut of cuts) {
      const errno = this.cut(cut);
      if (errno) return { errno };
    }
    if (size === 0n) return { errno: 'EINVAL' };
    if (iova + size > TOP) return { errno: 'EOVERFLOW' };
    return this.walk(iova, iova + size - 1n);
  }

  /** 26. */
  private cut(address: bigint): string | null {
    const area = this.at(address);
    if (!area || area.iova === address || last(area) === address) return null;
    if (area.closed) return 'EBUSY';
    if ((address + 1n) % PAGE !== 0n || area.users > 0) return 'EINVAL';
    const lower = address + 1n - area.iova;
    this.areas.push({ ...area, iova: address + 1n, size: area.size - lower, vaddr: area.vaddr + lower });
    area.size = lower;
    return null;
  }

  /** 20 to 23: the counter goes on over mappings without a gap between them. */
  walk(from: bigint, to: bigint): { errno: string | null; size: bigint } {
    let size = 0n;
    let start = from;
    for (let tries = 0; ; ) {
      const area = this.sorted().find((one) => last(one) >= start && one.iova <= to);
      if (!area) return { errno: null, size };
      if (area.iova < start || last(area) > to) return { errno: 'ENOENT', size };
      if (area.iova !== start) tries = 0;
      start = area.iova;
      if (area.users > 0) {
        area.closed = true;
        this.callBack(area);
        tries++;
        if (tries <= 100) continue;
        this.warn('tries > 100');
        return { errno: 'EDEADLK', size };
      }
      this.remove(area);
      size += area.size;
      start = last(area) + 1n;
    }
  }

  private callBack(area: Area): void {
    for (const device of this.slots) {
      if (!device?.listens) continue;
      const { iova, size } = area;
      this.trail().invalidations.push({ device: device.id, iova: hex(iova), length: hex(size) });
      device.dmaUnmap(iova, size);
    }
  }

  /** 8: the last holder went. */
  destroy(): void {
    for (const slot of this.slots.keys()) this.slots[slot] = null;
    if (this.walk(0n, TOP - 1n).errno) this.warn('rc && rc != -ENOENT');
    if (this.areas.length > 0) this.warn('!RB_EMPTY_ROOT(&iopt->area_itree.rb_root)');
  }

  /** The parts of a range of pages that lie in mappings, up to a hole; `hole` where there is one. */
  private parts(
    iova: bigint,
    end: bigint,
  ): { parts: { area: Area; from: bigint; to: bigint }[]; hole: boolean } {
    const parts: { area: Area; from: bigint; to: bigint }[] = [];
    for (let from = iova; from <= end; ) {
      const area = this.at(from);
      if (!area) return { parts, hole: true };
      const to = last(area) < end ? last(area) : end;
      parts.push({ area, from, to });
      from = to + 1n;
    }
    return { parts, hole: false };
  }

  private access({ area, from, to }: { area: Area; from: bigint; to: bigint }): Access | undefined {
    const [first, end] = pagesOf(area, from, to);
    return area.memory.accesses.find((one) => one.first === first && one.last === end);
  }

  /** 28 to 31. */
  pin(device: string, iova: bigint, npage: number, prot: number): Result {
    const start = pageOf(iova) * PAGE;
    const end = start + BigInt.asUintN(64, BigInt(npage) * PAGE) - 1n;
    if (end >= TOP) return 'EOVERFLOW';
    const { parts, hole } = this.parts(start, end);
    const done: typeof parts = [];
    let errno: string | null = null;
    for (const part of parts) {
      errno = this.pinPart(device, part, prot);
      if (errno) break;
      done.push(part);
    }
    if (!errno && !hole) return { pinned: npage };
    for (const part of done) this.unpinPart(device, part);
    return errno ?? 'ENOENT';
  }

  private pinPart(
    device: string,
    part: { area: Area; from: bigint; to: bigint },
    prot: number,
  ): string | null {
    const { area } = part;
    if (area.closed) return 'EINVAL';
    if ((area.prot & (prot & 2 ? 2 : 1)) === 0) return 'EPERM';
    const there = this.access(part);
    if (there) {
      there.refs.push(device);
      area.users++;
      return null;
    }
    const { memory } = area;
    const [first, end] = pagesOf(area, part.from, part.to);
    const change = () => {
      memory.accesses.push({ first, last: end, refs: [device] });
      area.users++;
    };
    const undo = () => {
      memory.accesses.pop();
      area.users--;
    };
    return this.pinning([memory], change, undo);
  }

  /** 30. */
  unpin(device: string, iova: bigint, npage: number): void {
    if (npage === 0) {
      this.warn('!length');
      return;
    }
    const start = pageOf(iova) * PAGE;
    const end = start + BigInt.asUintN(64, BigInt(npage) * PAGE) - 1n;
    if (end >= TOP) {
      this.warn('check_add_overflow(iova, length - 1, &last_iova)');
      return;
    }
    const { parts, hole } = this.parts(start, end);
    for (const part of parts) this.unpinPart(device, part);
    if (hole) this.warn('!iopt_area_contig_done(&iter)');
  }

  private unpinPart(device: string, part: { area: Area; from: bigint; to: bigint }): void {
    const { area } = part;
    const access = this.access(part);
    if (!access) {
      this.warn('!access');
      return;
    }
    const owner = access.refs.includes(device) ? device : access.refs[0]!;
    const { memory } = area;
    const change = () => {
      access.refs.splice(access.refs.lastIndexOf(owner), 1);
      area.users--;
      if (access.refs.length === 0) memory.accesses.splice(memory.accesses.indexOf(access), 1);
    };
    this.pinning([memory], change, () => {});
  }

  /** 32; a write has `fill`. */
  dmaRw(call: Call): Result {
    const write = call.write === true;
    const length = call.length as number;
    const iova = big(call.iova);
    if (iova + BigInt(length) > TOP) return 'EOVERFLOW';
    const { parts, hole } = this.parts(iova, iova + BigInt(length) - 1n);
    const read = new Uint8Array(length);
    for (const { area, from, to } of parts) {
      if (area.closed) return 'EINVAL';
      if ((area.prot & (write ? 2 : 1)) === 0) return 'EPERM';
      const vaddr = area.vaddr + (from - area.iova);
      const count = Number(to - from) + 1;
      const reached = this.process.reachable(vaddr, count, write);
      if (write) this.process.fill(vaddr, reached, call.fill as number);
      else read.set(this.process.read(vaddr, reached), Number(from - iova));
      if (reached < count) return 'EFAULT';
    }
    if (hole) return 'ENOENT';
    return write ? {} : { data: Buffer.from(read).toString('base64') };
  }
}

/** The pages of memory behind a part of a mapping. */
function pagesOf(area: Area, from: bigint, to: bigint): [bigint, bigint] {
  return [pageOf(area.vaddr + (from - area.iova)), pageOf(area.vaddr + (to - area.iova))];
}
