import type { CallObject } from '../../schemas/calls.ts';
import { hex, PAGE_SIZE } from '../kernel/pages.ts';
import type { Action } from './scene.ts';

/** The container of every scene. */
export const CONTAINER = 'c0';

/** Where the pages begin, IOVA: a multiple of 2 MiB, and not 0, which some drivers take for none. */
const BASE = 0x20_0000;
/** What lies between an IOVA and its memory: each page has one memory of its own, so which is the same for all. */
const TO_VADDR = 0x1000_0000;
/** A place in a page that is not its beginning. */
const INSIDE = 0x808;

/** The IOVA space that calls name: some neighbouring ranges of equal size. */
export class Pages {
  /**
   * @param count how many ranges
   * @param size of each, 4 KiB pages
   * @param longest the longest mapping, in ranges
   */
  constructor(
    readonly count: number,
    readonly size: number = 1,
    readonly longest: number = 2,
  ) {}

  /** First byte of a range. */
  at(range: number, offset = 0): string {
    return hex(BigInt(BASE + range * this.size * PAGE_SIZE + offset));
  }

  /** First frame of a range. */
  frame(range: number): string {
    return hex(BigInt(BASE / PAGE_SIZE + range * this.size));
  }

  /** First byte of the memory behind a range. */
  vaddr(range: number): string {
    return hex(BigInt(TO_VADDR + BASE + range * this.size * PAGE_SIZE));
  }

  /** Every range, and a place inside its first page. */
  *addresses(): Generator<string, void, void> {
    for (let range = 0; range < this.count; range++) {
      yield this.at(range);
      yield this.at(range, INSIDE);
    }
  }

  map(range: number, ranges = 1): CallObject {
    return {
      call: 'map-dma',
      container: CONTAINER,
      iova: this.at(range),
      vaddr: this.vaddr(range),
      size: this.bytes(ranges),
      flags: ['read', 'write'],
    };
  }

  private unmap(iova: string, size: string, flags: string[] = []): CallObject {
    return { call: 'unmap-dma', container: CONTAINER, iova, size, ...(flags.length > 0 ? { flags } : {}) };
  }

  private bytes(ranges: number): string {
    return hex(BigInt(ranges * this.size * PAGE_SIZE));
  }

  /** Mappings of each length at each place, and what unmaps them: exactly, all at once, and misaligned. */
  actions(): Action[] {
    const calls: CallObject[] = [];
    for (let ranges = 1; ranges <= Math.min(this.longest, this.count); ranges++) {
      for (let range = 0; range + ranges <= this.count; range++) {
        calls.push(this.map(range, ranges), this.unmap(this.at(range), this.bytes(ranges)));
      }
    }
    if (this.count > this.longest) calls.push(this.unmap(this.at(0), this.bytes(this.count)));
    calls.push({ ...this.map(0), iova: this.at(0, INSIDE) }, this.unmap(this.at(0, INSIDE), this.bytes(1)));
    calls.push(this.unmap('0x0', '0x0', ['all']));
    return calls.map((call) => ({ call }));
  }
}
