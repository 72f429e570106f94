import { PAUSE } from '../../pause.ts';

/** Halves of 64-bit words in a chunk: 4 KiB, 32,768 bits. */
const CHUNK = 1024;
const ALL_ONES = 0xffff_ffff;
const HALVES = 2;

/** Chunks whose words are compared between two pauses. */
const PARTS_AT_ONCE = 64;

/** A chunk: every half 0, every half all ones (neither takes memory), or the halves themselves. */
type Chunk = 0 | 1 | Uint32Array;

/** Equal 64-bit words in a row: index of the first, how many, and the two halves of each. */
export interface WordRun {
  readonly word: number;
  readonly count: number;
  readonly low: number;
  readonly high: number;
}

/** A run of equal halves. */
interface Uniform {
  readonly from: number;
  readonly to: number;
  readonly value: 0 | 1;
}

/** A part of a chunk that has bits of its own: the first half, and the halves. */
interface Mixed {
  readonly from: number;
  readonly halves: Uint32Array;
}

/**
 * A bitmap of 32-bit halves of 64-bit words, of which what is all zeros or all ones takes no memory, and no time: 2^31
 * bits are 65,536 chunks.
 */
export class SparseBits {
  private readonly chunks: Chunk[];

  /** @param length number of halves, all 0 */
  constructor(readonly length: number) {
    this.chunks = new Array<Chunk>(Math.ceil(length / CHUNK)).fill(0);
  }

  /** A half; 0 outside. */
  get(half: number): number {
    if (half < 0 || half >= this.length) return 0;
    const chunk = this.chunks[Math.floor(half / CHUNK)]!;
    return typeof chunk === 'number' ? chunk * ALL_ONES : chunk[half % CHUNK]!;
  }

  /** Sets a half; one outside is ignored. */
  set(half: number, value: number): void {
    if (half >= this.length || this.get(half) === value >>> 0) return;
    this.mixed(Math.floor(half / CHUNK))[half % CHUNK] = value;
  }

  /** Makes the halves [from, to) all zeros or all ones; what is outside is ignored. */
  fill(from: number, to: number, value: 0 | 1): void {
    const end = Math.min(to, this.length);
    for (let at = from; at < end; ) {
      const index = Math.floor(at / CHUNK);
      const start = index * CHUNK;
      const next = Math.min(end, start + CHUNK);
      const whole = at === start && next === Math.min(this.length, start + CHUNK);
      if (whole) this.chunks[index] = value;
      else if (this.chunks[index] !== value)
        this.mixed(index).fill(value * ALL_ONES, at - start, next - start);
      at = next;
    }
  }

  /**
   * Copies `count` halves of it, from its first one, to `to` on in another one; what is outside that is ignored. Stops after
   * each chunk that takes memory.
   */
  *copyTo(other: SparseBits, to: number, count: number): Generator<void, void> {
    for (const part of this.parts(count)) {
      if ('value' in part) other.fill(to + part.from, to + part.to, part.value);
      else {
        other.write(to + part.from, part.halves);
        yield;
      }
    }
  }

  private write(to: number, halves: Uint32Array): void {
    const end = Math.min(to + halves.length, this.length);
    for (let at = to; at < end; ) {
      const index = Math.floor(at / CHUNK);
      const next = Math.min(end, (index + 1) * CHUNK);
      this.mixed(index).set(halves.subarray(at - to, next - to), at - index * CHUNK);
      at = next;
    }
  }

  /**
   * Shifts the first `count` halves up by 1 to 63 bits, in place; what is shifted out of them is lost. Stops after each chunk
   * that takes memory.
   */
  *shiftLeft(shift: number, count: number): Generator<void, void> {
    const skip = shift >= 32 ? 1 : 0;
    const bits = shift % 32;
    for (let index = Math.floor((count - 1) / CHUNK); index >= 0; index--) {
      const start = index * CHUNK;
      const chunk = this.chunks[index]!;
      const end = Math.min(count, start + CHUNK);
      // What comes in from below: the same as what is there in most chunks that are alike throughout.
      const below = start === 0 ? 0 : this.get(start - 1) & this.get(start - 2);
      const above = start === 0 ? 0 : this.get(start - 1) | this.get(start - 2);
      const stays = chunk === 0 ? above === 0 : chunk === 1 && below === ~0;
      if (stays && end === Math.min(this.length, start + CHUNK)) continue;
      const halves = this.mixed(index);
      for (let i = end - 1; i >= start; i--) {
        const high = i - skip >= start ? halves[i - skip - start]! : this.get(i - skip);
        const low = i - skip - 1 >= start ? halves[i - skip - 1 - start]! : this.get(i - skip - 1);
        halves[i - start] = bits === 0 ? high : (high << bits) | (low >>> (32 - bits));
      }
      yield;
    }
  }

  /** Runs of set bits, as `[first, count]`, ascending. */
  *ranges(): Generator<[first: number, count: number], void, void> {
    let first = -1;
    for (const part of this.parts(this.length)) {
      if ('value' in part) {
        if (part.value === 1) first = first < 0 ? part.from * 32 : first;
        else if (first >= 0) {
          yield [first, part.from * 32 - first];
          first = -1;
        }
        continue;
      }
      for (let i = 0; i < part.halves.length; i++) {
        const value = part.halves[i]!;
        const at = (part.from + i) * 32;
        if (value === (first < 0 ? 0 : ALL_ONES)) continue;
        for (let bit = 0; bit < 32; bit++) {
          const on = (value >>> bit) & 1;
          if (on === 1 && first < 0) first = at + bit;
          else if (on === 0 && first >= 0) {
            yield [first, at + bit - first];
            first = -1;
          }
        }
      }
    }
    if (first >= 0) yield [first, this.length * 32 - first];
  }

  /** The first `count` halves, in the longest parts that are alike, and those that are not. */
  private *parts(count: number): Generator<Uniform | Mixed, void, void> {
    let uniform = null as { from: number; to: number; value: 0 | 1 } | null;
    for (let from = 0; from < count; from += CHUNK) {
      const chunk = this.chunks[from / CHUNK]!;
      const to = Math.min(count, from + CHUNK);
      if (typeof chunk === 'number') {
        if (uniform?.value === chunk) uniform.to = to;
        else {
          if (uniform) yield uniform;
          uniform = { from, to, value: chunk };
        }
        continue;
      }
      if (uniform) yield uniform;
      uniform = null;
      yield { from, halves: chunk.subarray(0, to - from) };
    }
    if (uniform) yield uniform;
  }

  /** Every 64-bit word that is not 0, in the longest runs there are: of one that goes on for long there are pauses. */
  *wordRuns(): Generator<WordRun | typeof PAUSE, void, void> {
    let run = null as { word: number; count: number; low: number; high: number } | null;
    let parts = 0;
    for (const part of this.parts(this.length)) {
      if (++parts % PARTS_AT_ONCE === 0) yield PAUSE;
      const halves = 'value' in part ? [part.value * ALL_ONES, part.value * ALL_ONES] : part.halves;
      const times = 'value' in part ? (part.to - part.from) / HALVES : 1;
      for (let i = 0; i < halves.length; ) {
        const low = halves[i]!;
        const high = halves[i + 1]!;
        const from = i;
        do i += HALVES;
        while (halves[i] === low && halves[i + 1] === high);
        const count = ((i - from) / HALVES) * times;
        if (run?.low === low && run.high === high) run.count += count;
        else {
          if (run) yield run;
          run = (low | high) === 0 ? null : { word: (part.from + from) / HALVES, count, low, high };
        }
      }
    }
    if (run) yield run;
  }

  /** Sets the words of a run, which are all within it; stops after each chunk that takes memory. */
  *setRun({ word, count, low, high }: WordRun): Generator<void, void> {
    const end = (word + count) * HALVES;
    if (low === ALL_ONES && high === ALL_ONES) {
      this.fill(word * HALVES, end, 1);
      return;
    }
    for (let at = word * HALVES; at < end; ) {
      const index = Math.floor(at / CHUNK);
      const start = index * CHUNK;
      const next = Math.min(end, start + CHUNK);
      const halves = this.mixed(index);
      for (; at < next; at += HALVES) {
        halves[at - start] = low;
        halves[at - start + 1] = high;
      }
      yield;
    }
  }

  /** A chunk as halves of its own. */
  private mixed(index: number): Uint32Array {
    const chunk = this.chunks[index]!;
    if (typeof chunk !== 'number') return chunk;
    const halves = new Uint32Array(Math.min(CHUNK, this.length - index * CHUNK));
    if (chunk === 1) halves.fill(ALL_ONES);
    this.chunks[index] = halves;
    return halves;
  }
}
