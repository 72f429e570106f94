import type { DriverApi } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { hex, offsetInPage, PAGE_SIZE } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { CCW_SIZE, type Ccw, isChained, isIdal, isTic, parseCcws, transfersData } from './ccw.ts';
import {
  keysOf,
  type PageRun,
  pageAligned,
  pagesSpanned,
  pinRuns,
  runsOf,
  touches,
  unpinRuns,
} from './page-array.ts';

/** CCWs of a segment. */
const SEGMENT_CCWS_MAX = 256;
/** Segments of a program (6.1.192; before, nothing but the stack limits them). */
const SEGMENTS_MAX = 16;
/** Size of an IDAW of format 2, bytes. */
const IDAW_SIZE = 8;

/** How a channel program is read and its pages are named. */
export interface ChannelProgramOptions {
  /** Keys are those of whole pages (up to 5.19); otherwise as the CCW or IDAW has them. */
  readonly wholePages: boolean;
  /** Segments and IDA lists are read by pinning their pages for the moment (up to 6.2), or with dma_rw. */
  readonly reads: 'pin' | 'dma-rw';
}

/** A run of CCWs that lie one after another in the guest's memory (struct ccwchain). */
interface Segment {
  readonly iova: bigint;
  readonly ccws: readonly Ccw[];
  /** What each CCW has pinned. */
  readonly pinned: PageRun[][];
}

/**
 * A channel program (struct channel_program; spec section 5.2): a copy of the guest's CCWs, and the pages that
 * were pinned for them. CCWs have format 1, IDAWs format 2 with blocks of 4 KiB.
 */
export class ChannelProgram {
  private segments: Segment[] = [];

  constructor(private readonly options: ChannelProgramOptions) {}

  /**
   * cp_init: copies the program, segment by segment, following each TIC out of what is there already.
   *
   * @param iova of its first CCW
   * @returns EINVAL for a segment or a program that is too long; what pinning or reading it was answered
   */
  *init(api: DriverApi, iova: bigint): KernelStep<Errno | null> {
    const errno = yield* this.copySegment(api, iova);
    if (errno) this.segments = [];
    return errno;
  }

  /** cp_prefetch: pins what the CCWs transfer. After an errno the pages so far are still pinned. */
  *prefetch(api: DriverApi): KernelStep<Errno | null> {
    for (const { ccws, pinned } of this.segments) {
      for (const ccw of ccws) {
        if (isTic(ccw)) continue;
        const errno = yield* this.fetch(api, ccw, pinned);
        if (errno) return errno;
      }
    }
    return null;
  }

  /** cp_free: unpins everything. */
  *free(api: DriverApi): KernelStep<void> {
    const { segments } = this;
    this.segments = [];
    for (const { pinned } of segments) for (const runs of pinned) yield* unpinRuns(api, runs);
  }

  /** cp_iova_pinned: whether a page of [iova, iova+length) is pinned, by page number. */
  pins(iova: bigint, length: bigint): boolean {
    for (const run of this.runs()) if (touches(run, iova, length)) return true;
    return false;
  }

  /** Every run of pages that is pinned, in the order of the program. */
  *runs(): Generator<PageRun, void, void> {
    for (const { pinned } of this.segments) for (const runs of pinned) yield* runs;
  }

  /** Takes over what a program has pinned: once it runs, nothing else of it is ever looked at. */
  restore(runs: PageRun[]): void {
    if (runs.length > 0) this.segments = [{ iova: 0n, ccws: [], pinned: [runs] }];
  }

  /** ccwchain_handle_ccw. */
  private *copySegment(api: DriverApi, iova: bigint): KernelStep<Errno | null> {
    // The driver reads as much as a segment may have, whatever its length turns out to be.
    const bytes = yield* this.read(api, iova, SEGMENT_CCWS_MAX * CCW_SIZE);
    if (typeof bytes === 'string') return bytes;
    const ccws = parseCcws(bytes);
    const length = segmentLength(ccws, iova);
    if (length === null) {
      return api.refuse('EINVAL', `the segment at ${hex(iova)} has more than ${SEGMENT_CCWS_MAX} CCWs`);
    }
    if (this.segments.length >= SEGMENTS_MAX) {
      return api.refuse('EINVAL', `the channel program has more than ${SEGMENTS_MAX} segments`);
    }
    const segment: Segment = { iova, ccws: ccws.slice(0, length), pinned: [] };
    this.segments.push(segment);
    for (const ccw of segment.ccws) {
      if (!isTic(ccw) || this.segments.some((s) => contains(s.iova, s.ccws.length, ccw.cda))) continue;
      const errno = yield* this.copySegment(api, ccw.cda);
      if (errno) return errno;
    }
    return null;
  }

  /** ccwchain_fetch_ccw: pins one CCW's pages. An IDA list is read even where nothing is transferred. */
  private *fetch(api: DriverApi, ccw: Ccw, pinned: PageRun[][]): KernelStep<Errno | null> {
    const bytes = Math.max(ccw.count, 1);
    let keys: bigint[];
    if (isIdal(ccw)) {
      const idaws = yield* this.readIdal(api, ccw.cda, bytes);
      if (typeof idaws === 'string') return idaws;
      keys = idaws;
    } else {
      keys = keysOf(ccw.cda, bytes);
    }
    if (!transfersData(ccw)) return null;
    const runs = runsOf(this.options.wholePages ? keys.map(pageAligned) : keys);
    const frames = yield* pinRuns(api, runs);
    if (typeof frames === 'string') return frames;
    pinned.push(runs);
    return null;
  }

  /** Reads an IDA list: its first word says, by its offset in the page, how many there are. */
  private *readIdal(api: DriverApi, iova: bigint, bytes: number): KernelStep<Errno | bigint[]> {
    const first = yield* this.read(api, iova, IDAW_SIZE);
    if (typeof first === 'string') return first;
    const count = pagesSpanned(idawAt(first, 0), bytes);
    const list = yield* this.read(api, iova, count * IDAW_SIZE);
    if (typeof list === 'string') return list;
    return Array.from({ length: count }, (_, i) => idawAt(list, i));
  }

  /** copy_from_iova: through pins of the moment, for reading and writing, or dma_rw. */
  private *read(api: DriverApi, iova: bigint, length: number): KernelStep<Errno | Uint8Array> {
    if (this.options.reads === 'dma-rw') return yield* api.dmaRw(iova, { read: length });
    const keys = keysOf(iova, length);
    const runs = runsOf(this.options.wholePages ? keys.map(pageAligned) : keys);
    const frames = yield* pinRuns(api, runs);
    if (typeof frames === 'string') return frames;
    const bytes = new Uint8Array(length);
    let done = 0;
    for (const frame of frames) {
      const offset = done === 0 ? offsetInPage(iova) : 0;
      const count = Math.min(PAGE_SIZE - offset, length - done);
      bytes.set(api.readPinned(frame, offset, count), done);
      done += count;
    }
    yield* unpinRuns(api, runs);
    return bytes;
  }
}

/** ccwchain_calc_length: up to a CCW that neither chains nor is a TIC back into the segment; null: too long. */
function segmentLength(ccws: readonly Ccw[], iova: bigint): number | null {
  for (const [i, ccw] of ccws.entries()) {
    const length = i + 1;
    const loops = isTic(ccw) && contains(iova, length, ccw.cda);
    if (!isChained(ccw) && !loops) return length;
  }
  return null;
}

/** is_cpa_within_range: whether an address is within `length` CCWs from `iova`, at most the last one's start. */
function contains(iova: bigint, length: number, address: bigint): boolean {
  return address >= iova && address <= iova + BigInt((length - 1) * CCW_SIZE);
}

function idawAt(list: Uint8Array, index: number): bigint {
  return new DataView(list.buffer, list.byteOffset).getBigUint64(index * IDAW_SIZE);
}
