// A container's IOVA space as the server sent it, and its place on a strip. No DOM.
//
// Addresses are exact: BigInt, in BigUint64Array columns. What is drawn has units of its own: a mapping is as
// wide as the logarithm of its size, and the gaps between mappings are cut short, so that 4 KiB pages and
// terabytes of nothing between them are both visible.

/** @typedef {import('../schemas/page.ts').LayoutAnswer} LayoutAnswer */
/** @typedef {import('../schemas/page.ts').Holder} Holder */
/**
 * @typedef {{ iova: bigint, pages: number, pfn: bigint, refCount: number, holders: readonly Holder[] }} PinRun
 * @typedef {{ iova: bigint, size: bigint, end: bigint, vaddr: bigint, prot: string }} Mapping
 */

const PAGE_SHIFT = 12n;

/** Pages of a size; exact, as there are at most 2^52. @param {bigint} bytes */
const pagesOf = (bytes) => Number(bytes >> PAGE_SHIFT);

/** Addresses in 8 bytes each. @param {string[]} values */
function column(values) {
  const made = new BigUint64Array(values.length);
  for (let i = 0; i < values.length; i++) made[i] = BigInt(values[i]);
  return made;
}

/** Width of a mapping. @param {number} pages */
const mappingUnits = (pages) => 1 + 0.4 * Math.log2(Math.max(1, pages));
/** Width of a gap. @param {number} pages */
const gapUnits = (pages) => 0.3 + 0.05 * Math.log2(Math.max(1, pages));

export class Layout {
  /** @param {LayoutAnswer} answer */
  constructor(answer) {
    const { mappings, pins } = answer;
    this.answer = answer;
    this.count = mappings.iova.length;
    this.iova = column(mappings.iova);
    this.size = column(mappings.size);
    this.vaddr = column(mappings.vaddr);
    this.flags = Uint8Array.from(mappings.flags);
    /** Whether there is a mapping that devices may not both read and write. */
    this.partly = this.flags.some((_, index) => !this.readWrite(index));
    /** Where each mapping starts on the strip, and how wide it is, in units. */
    this.start = new Float64Array(this.count);
    this.width = new Float64Array(this.count);
    this.units = 0;
    /** Bytes in all mappings, and the number of areas without a gap inside. */
    this.mapped = 0n;
    this.areas = 0;
    this.#place();
    this.runs = pins.iova.length;
    this.runIova = column(pins.iova);
    /** Pinned pages of each mapping, and its first run; one more entry than there are mappings. */
    this.pinned = new Uint32Array(this.count);
    this.firstRun = new Uint32Array(this.count + 1);
    this.runStart = new Float64Array(this.runs);
    this.runWidth = new Float64Array(this.runs);
    this.#placePins();
  }

  #place() {
    let at = 0;
    let end = 0n;
    for (let i = 0; i < this.count; i++) {
      const iova = this.iova[i];
      const size = this.size[i];
      if (i > 0 && iova > end) at += gapUnits(pagesOf(iova - end));
      if (i === 0 || iova > end) this.areas++;
      this.mapped += size;
      this.start[i] = at;
      this.width[i] = mappingUnits(pagesOf(size));
      at += this.width[i];
      end = iova + size;
    }
    this.units = at;
  }

  #placePins() {
    const { mapping, pages } = this.answer.pins;
    for (let run = 0; run < this.runs; run++) {
      const m = mapping[run];
      this.pinned[m] += pages[run];
      this.firstRun[m + 1] = run + 1;
      const size = pagesOf(this.size[m]);
      // A misaligned pin may lie below its mapping: it is drawn at the mapping's start.
      const from = this.runIova[run] > this.iova[m] ? pagesOf(this.runIova[run] - this.iova[m]) : 0;
      this.runStart[run] = this.start[m] + (this.width[m] * from) / size;
      this.runWidth[run] = (this.width[m] * Math.min(pages[run], size - from)) / size;
    }
    for (let m = 0; m < this.count; m++) {
      if (this.firstRun[m + 1] < this.firstRun[m]) this.firstRun[m + 1] = this.firstRun[m];
    }
  }

  /** The last mapping that starts at or before a place on the strip; -1 where there is none. @param {number} unit */
  before(unit) {
    return lastUpTo(this.start, unit);
  }

  /** The mapping at a place on the strip, or -1. @param {number} unit */
  at(unit) {
    const index = this.before(unit);
    return index >= 0 && unit <= this.start[index] + this.width[index] ? index : -1;
  }

  /** The mapping an address lies in, or -1. @param {bigint} address */
  containing(address) {
    const index = lastUpTo(this.iova, address);
    return index >= 0 && address - this.iova[index] < this.size[index] ? index : -1;
  }

  /** The mapping that starts at an address, or -1. @param {bigint} address */
  startingAt(address) {
    const index = lastUpTo(this.iova, address);
    return index >= 0 && this.iova[index] === address ? index : -1;
  }

  /** @param {number} index @returns {Mapping} */
  mapping(index) {
    const iova = this.iova[index];
    const size = this.size[index];
    // Its end is inclusive: one that ends at 2^64 has an end in 64 bits.
    return { iova, size, end: iova + size - 1n, vaddr: this.vaddr[index], prot: this.#prot(index) };
  }

  /** Whether devices may both read and write a mapping. @param {number} index */
  readWrite(index) {
    const { read, write } = this.answer.bits;
    return (this.flags[index] & (read | write)) === (read | write);
  }

  /** Whether the vaddr of a mapping was taken back (VFIO_DMA_UNMAP_FLAG_VADDR). @param {number} index */
  vaddrInvalid(index) {
    return (this.flags[index] & this.answer.bits.vaddrInvalid) !== 0;
  }

  /** Whether an unmap has closed a mapping (iommufd). @param {number} index */
  closed(index) {
    return (this.flags[index] & this.answer.bits.closed) !== 0;
  }

  /** @param {number} index */
  #prot(index) {
    const { read, write } = this.answer.bits;
    const flags = this.flags[index];
    const prot =
      [flags & read ? 'read' : '', flags & write ? 'write' : ''].filter(Boolean).join(' ') || 'none';
    if (this.closed(index)) return `${prot}, closed by an unmap`;
    return this.vaddrInvalid(index) ? `${prot}, vaddr invalid` : prot;
  }

  /** @param {number} run @returns {PinRun} */
  run(run) {
    const { pins, holders } = this.answer;
    const held = holders[pins.holders[run]];
    return {
      iova: this.runIova[run],
      pages: pins.pages[run],
      pfn: BigInt(pins.pfn[run]),
      refCount: held.reduce((sum, { count }) => sum + count, 0),
      holders: held,
    };
  }

  /** The devices that hold pins in a mapping, with the pages each holds. @param {number} index */
  holdersOf(index) {
    /** @type {Map<string, number>} */
    const pages = new Map();
    for (let run = this.firstRun[index]; run < this.firstRun[index + 1]; run++) {
      const held = this.run(run);
      for (const { device } of held.holders) pages.set(device, (pages.get(device) ?? 0) + held.pages);
    }
    return pages;
  }

  /** Every device registered or holding pins, with the pages it holds: registered ones first. */
  devices() {
    const { pins, holders, iommu } = this.answer;
    /** @type {Map<string, number>} */
    const pages = new Map((iommu?.devices ?? []).map((device) => [device, 0]));
    const perSet = new Float64Array(holders.length);
    for (let run = 0; run < this.runs; run++) perSet[pins.holders[run]] += pins.pages[run];
    holders.forEach((held, set) => {
      for (const { device } of held) pages.set(device, (pages.get(device) ?? 0) + perSet[set]);
    });
    return pages;
  }
}

/**
 * Where the last of some ascending values is that is not above `most`; -1 where there is none.
 *
 * @template {number | bigint} T
 * @param {ArrayLike<T>} values
 * @param {T} most
 */
function lastUpTo(values, most) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= most) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
