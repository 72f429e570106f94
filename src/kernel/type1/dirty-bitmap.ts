/** The largest mapping dirty tracking can cover, pages (DIRTY_BITMAP_PAGES_MAX). */
export const DIRTY_BITMAP_PAGES_MAX = 2 ** 31 - 1;
/** The largest bitmap a caller may pass, bytes (DIRTY_BITMAP_SIZE_MAX). */
export const DIRTY_BITMAP_SIZE_MAX = 2 ** 28;

const HALVES = 2;

/** Number of 64-bit words that hold `bits` bits. */
function words64(bits: number): number {
  return Math.ceil(bits / 64);
}

/**
 * The caller's bitmap: little-endian 64-bit words, sparse, as two 32-bit halves a word.
 * What is never written stays zero, as the buffer the service passes.
 */
export class UserBitmap {
  private readonly halves = new Map<number, number>();

  /** `pages` is the number of pages the bitmap covers. */
  constructor(readonly pages: number) {}

  read(half: number): number {
    return this.halves.get(half) ?? 0;
  }
  write(half: number, value: number): void {
    if (value === 0) this.halves.delete(half);
    else this.halves.set(half, value);
  }

  /** Indexes of the set bits, ascending. */
  dirtyPages(): number[] {
    const pages: number[] = [];
    for (const half of [...this.halves.keys()].sort((a, b) => a - b)) {
      const value = this.halves.get(half)!;
      for (let bit = 0; bit < 32; bit++) if (value & (1 << bit)) pages.push(half * 32 + bit);
    }
    return pages;
  }

  /** The whole bitmap, bytes. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(words64(this.pages) * 8);
    const view = new DataView(bytes.buffer);
    for (const [half, value] of this.halves) {
      if (half * 4 < bytes.length) view.setUint32(half * 4, value >>> 0, true);
    }
    return bytes;
  }
}

/** Equal 64-bit words in a row: index of the first, how many, and the two halves of each. */
interface WordRun {
  readonly word: number;
  readonly count: number;
  readonly low: number;
  readonly high: number;
}

/**
 * One mapping's dirty bitmap. It has a spare 64-bit word behind its last one, because the kernel shifts the
 * bitmap in place when it reports at an odd offset; what lands there shows up as false dirty bits in later
 * reports, so the copy-out below is literal.
 */
export class DirtyBitmap {
  private readonly halves: Uint32Array;

  /** `pages` is the mapping's size. */
  constructor(readonly pages: number) {
    this.halves = new Uint32Array((words64(pages) + 1) * HALVES);
  }

  /** Bytes a bitmap for `pages` pages takes. */
  static bytesFor(pages: number): number {
    return (words64(pages) + 1) * 8;
  }

  /** Marks a page; one past the bitmap's spare word is ignored. */
  set(page: number): void {
    const half = Math.floor(page / 32);
    if (half < this.halves.length) this.halves[half]! |= 1 << (page % 32);
  }

  /** Whether bits past the mapping's last page are set: shifted there by an earlier report, never cleared. */
  hasStrayBits(): boolean {
    const whole = Math.floor(this.pages / 32);
    const rest = this.pages % 32;
    if ((this.halves[whole]! & ~(2 ** rest - 1)) !== 0) return true;
    for (let i = whole + 1; i < this.halves.length; i++) if (this.halves[i] !== 0) return true;
    return false;
  }

  /** Indexes of every set bit, those behind the last page too, ascending: for dumps. */
  setBits(): number[] {
    const bits: number[] = [];
    this.halves.forEach((half, i) => {
      for (let bit = 0; half >>> bit !== 0 && bit < 32; bit++)
        if ((half >>> bit) & 1) bits.push(i * 32 + bit);
    });
    return bits;
  }

  /** Words, with the spare one. */
  get words(): number {
    return this.halves.length / HALVES;
  }

  /** Every word that is not 0, the spare one too, in the longest runs there are. */
  *runs(): Generator<WordRun, void, void> {
    const { halves } = this;
    for (let i = 0; i < halves.length; ) {
      const low = halves[i]!;
      const high = halves[i + 1]!;
      let end = i + HALVES;
      if ((low | high) !== 0) {
        while (end < halves.length && halves[end] === low && halves[end + 1] === high) end += HALVES;
        yield { word: i / HALVES, count: (end - i) / HALVES, low, high };
      }
      i = end;
    }
  }

  /** Sets words that are all within the bitmap. */
  setRun({ word, count, low, high }: WordRun): void {
    for (let i = word; i < word + count; i++) {
      this.halves[i * HALVES] = low;
      this.halves[i * HALVES + 1] = high;
    }
  }

  setAll(): void {
    this.fill(true);
  }

  /** Clears bits 0 to pages-1; the bits behind them stay, as bitmap_clear leaves them. */
  clear(): void {
    this.fill(false);
  }

  private fill(on: boolean): void {
    const whole = Math.floor(this.pages / 32);
    this.halves.fill(on ? 0xffffffff : 0, 0, whole);
    const rest = this.pages % 32;
    if (rest === 0) return;
    const mask = 2 ** rest - 1;
    this.halves[whole] = on ? this.halves[whole]! | mask : this.halves[whole]! & ~mask;
  }

  /**
   * update_user_bitmap: writes the bitmap into the caller's, whose bit 0 is page `base` of the IOVA space
   * while this mapping starts `bit` pages further on. Shifts this bitmap in place when `bit` is not a
   * multiple of 64.
   */
  copyTo(user: UserBitmap, bit: number): void {
    const firstHalf = Math.floor(bit / 64) * HALVES;
    const shift = bit % 64;
    const count = words64(this.pages + shift) * HALVES;
    if (shift !== 0) {
      this.shiftLeft(shift, count);
      this.halves[0]! |= user.read(firstHalf);
      this.halves[1]! |= user.read(firstHalf + 1);
    }
    for (let i = 0; i < count; i++) user.write(firstHalf + i, this.halves[i]!);
  }

  private shiftLeft(shift: number, count: number): void {
    const skip = shift >= 32 ? 1 : 0;
    const bits = shift % 32;
    for (let i = count - 1; i >= 0; i--) {
      const high = this.halves[i - skip] ?? 0;
      const low = this.halves[i - skip - 1] ?? 0;
      this.halves[i] = bits === 0 ? high : (high << bits) | (low >>> (32 - bits));
    }
  }
}
