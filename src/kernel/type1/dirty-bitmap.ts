import { itemsOf, type PAUSE } from '../../pause.ts';
import { SparseBits, type WordRun } from './sparse-bits.ts';

/** The largest mapping dirty tracking can cover, pages (DIRTY_BITMAP_PAGES_MAX). */
export const DIRTY_BITMAP_PAGES_MAX = 2 ** 31 - 1;
/** The largest bitmap a caller may pass, bytes (DIRTY_BITMAP_SIZE_MAX). */
export const DIRTY_BITMAP_SIZE_MAX = 2 ** 28;

const HALVES = 2;

/** Number of 64-bit words that hold `bits` bits. */
function words64(bits: number): number {
  return Math.ceil(bits / 64);
}

/** The caller's bitmap: little-endian 64-bit words. What is never written stays zero, as the buffer the service passes. */
export class UserBitmap {
  private readonly bits: SparseBits;

  /** `pages` is the number of pages the bitmap covers. */
  constructor(readonly pages: number) {
    this.bits = new SparseBits(words64(pages) * HALVES);
  }

  /** The first half of a word, or its second one, which is the next number. */
  read(half: number): number {
    return this.bits.get(half);
  }

  /** Overwrites `count` halves from one on with the first ones of a mapping's bitmap. */
  write(half: number, bits: SparseBits, count: number): Generator<void, void> {
    return bits.copyTo(this.bits, half, count);
  }

  /** Runs of set bits, as `[first, count]`, ascending. */
  ranges(): Iterable<[first: number, count: number]> {
    return this.bits.ranges();
  }

  /** Bytes of the whole bitmap. */
  get size(): number {
    return this.bits.length * 4;
  }

  /** The whole bitmap, bytes. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.size);
    const view = new DataView(bytes.buffer);
    for (const { word, count, low, high } of itemsOf(this.bits.wordRuns())) {
      if (low === 0xffff_ffff && high === 0xffff_ffff) {
        bytes.fill(0xff, word * 8, (word + count) * 8);
        continue;
      }
      for (let i = word; i < word + count; i++) {
        view.setUint32(i * 8, low, true);
        view.setUint32(i * 8 + 4, high, true);
      }
    }
    return bytes;
  }
}

/**
 * One mapping's dirty bitmap. It has a spare 64-bit word behind its last one, because the kernel shifts the
 * bitmap in place when it reports at an odd offset; what lands there shows up as false dirty bits in later
 * reports, so the copy-out below is literal.
 */
export class DirtyBitmap {
  private readonly bits: SparseBits;

  /** `pages` is the mapping's size. */
  constructor(readonly pages: number) {
    this.bits = new SparseBits((words64(pages) + 1) * HALVES);
  }

  /** Bytes a bitmap for `pages` pages takes in the kernel. */
  static bytesFor(pages: number): number {
    return (words64(pages) + 1) * 8;
  }

  /** Marks a page; one past the bitmap's spare word is ignored. */
  set(page: number): void {
    const half = Math.floor(page / 32);
    this.bits.set(half, this.bits.get(half) | (1 << (page % 32)));
  }

  /** Whether bits past the mapping's last page are set: shifted there by an earlier report, never cleared. */
  hasStrayBits(): boolean {
    const { bits, pages } = this;
    const whole = Math.floor(pages / 32);
    if ((bits.get(whole) & ~(2 ** (pages % 32) - 1)) !== 0) return true;
    for (let i = whole + 1; i < bits.length; i++) if (bits.get(i) !== 0) return true;
    return false;
  }

  /** Runs of set bits, those behind the last page too, ascending: for dumps. */
  ranges(): Iterable<[first: number, count: number]> {
    return this.bits.ranges();
  }

  /** What going through it once counts as, in units of a task's work. */
  get work(): number {
    return this.bits.length >> 5;
  }

  /** Words, with the spare one. */
  get words(): number {
    return this.bits.length / HALVES;
  }

  /** Every word that is not 0, the spare one too, in the longest runs there are. */
  runs(): Iterable<WordRun | typeof PAUSE> {
    return this.bits.wordRuns();
  }

  /** Sets words that are all within the bitmap, stopping now and then. */
  setRun(run: WordRun): Generator<void, void> {
    return this.bits.setRun(run);
  }

  setAll(): void {
    this.fill(1);
  }

  /** Clears bits 0 to pages-1; the bits behind them stay, as bitmap_clear leaves them. */
  clear(): void {
    this.fill(0);
  }

  private fill(value: 0 | 1): void {
    const { bits, pages } = this;
    const whole = Math.floor(pages / 32);
    bits.fill(0, whole, value);
    const mask = 2 ** (pages % 32) - 1;
    bits.set(whole, value === 1 ? bits.get(whole) | mask : bits.get(whole) & ~mask);
  }

  /**
   * update_user_bitmap: writes the bitmap into the caller's, whose bit 0 is page `base` of the IOVA space
   * while this mapping starts `bit` pages further on. Shifts this bitmap in place when `bit` is not a
   * multiple of 64. Stops now and then: then nothing but this may change it.
   */
  *copyTo(user: UserBitmap, bit: number): Generator<void, void> {
    const { bits } = this;
    const firstHalf = Math.floor(bit / 64) * HALVES;
    const shift = bit % 64;
    const count = words64(this.pages + shift) * HALVES;
    if (shift !== 0) {
      yield* bits.shiftLeft(shift, count);
      bits.set(0, bits.get(0) | user.read(firstHalf));
      bits.set(1, bits.get(1) | user.read(firstHalf + 1));
    }
    yield* user.write(firstHalf, bits, count);
  }
}
