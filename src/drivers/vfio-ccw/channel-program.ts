import type { Errno } from '../../kernel/errno.ts';
import { hex, offsetInPage, PAGE_SIZE, pageOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { CCW_SIZE, type Ccw, isChain, isCpaWithinRange, isIdal, isTic, parseCcws } from './ccw.ts';
import { idalIs2k, type Orb } from './orb.ts';
import type { HardwareProgram } from './subchannel.ts';
import type { Vdev } from './vdev.ts';

/** CCWs of a segment (CCWCHAIN_LEN_MAX). */
const CHAIN_LENGTH_MAX = 256;
/** Segments that are followed where the kernel itself counts none. */
const CHAINS_MAX = 1024;

/** The pages of one CCW (struct page_array): their keys, in order; none where nothing is transferred. */
export interface PageArray {
  keys: bigint[];
}

/** A segment (struct ccwchain): CCWs that lie one after another in the guest's memory. */
interface Chain {
  readonly iova: number;
  readonly ccws: readonly Ccw[];
  /** What each CCW has pinned, as far as it was translated. */
  readonly arrays: PageArray[];
}

/**
 * A channel program (struct channel_program): a copy of the guest's CCWs, and the pages that are pinned for them.
 * What the eras share; how memory is read, and how a CCW's pages are found and pinned, is in the era's file.
 */
export abstract class ChannelProgram implements HardwareProgram {
  /** Whether there is a program. While it is being built, or given back, there is none. */
  initialized = false;
  protected chains: Chain[] = [];
  protected orb: Orb | null = null;

  /** cp_init: copies the program, segment by segment, following each TIC out of what is there already. */
  *init(vdev: Vdev, orb: Orb): KernelStep<Errno | null> {
    if (this.initialized) return vdev.api.refuse('EBUSY', 'a channel program holds its pages still');
    this.chains = [];
    this.orb = orb;
    const errno = yield* this.handleCcw(vdev, orb, orb.cpa);
    if (errno) this.chains = [];
    else this.initialized = true;
    return errno;
  }

  /** cp_prefetch: pins what the CCWs transfer. After an errno the pages of the CCWs before are still pinned. */
  *prefetch(vdev: Vdev): KernelStep<Errno | null> {
    for (const { ccws, arrays } of this.chains) {
      for (const ccw of ccws) {
        const array: PageArray = { keys: [] };
        const errno = isTic(ccw) ? null : yield* this.fetchCcw(vdev, this.orb!, ccw, array);
        if (errno) return errno;
        arrays.push(array);
      }
    }
    return null;
  }

  /**
   * cp_free: gives every page back, in the order in which they were pinned. There is no program from its first step
   * on, so that callbacks pass by meanwhile.
   */
  *free(vdev: Vdev): KernelStep<void> {
    if (!this.initialized) return;
    this.initialized = false;
    const { chains } = this;
    this.chains = [];
    yield* vdev.reached('release');
    for (const { arrays } of chains) for (const array of arrays) yield* this.unpinFree(vdev, array);
  }

  /** cp_iova_pinned, without its io_mutex: whether a page of [iova, iova+length) is pinned, by page number. */
  iovaPinned(iova: bigint, length: bigint): boolean {
    if (!this.initialized) return false;
    const first = pageOf(iova);
    const last = pageOf(iova + length - 1n);
    for (const { keys } of this.arrays()) {
      if (keys.some((key) => pageOf(key) >= first && pageOf(key) <= last)) return true;
    }
    return false;
  }

  /** Every page array with pages, in order. */
  *arrays(): Generator<PageArray, void, void> {
    for (const { arrays } of this.chains) for (const array of arrays) if (array.keys.length > 0) yield array;
  }

  /** The pages that are pinned, as the calls that pinned them. */
  abstract runs(): { iova: bigint; npage: number }[];

  /** Takes over what a program has pinned: once it runs, nothing else of it is ever looked at. */
  restore(orb: Orb, arrays: readonly bigint[][]): void {
    this.orb = orb;
    this.initialized = true;
    this.chains = [{ iova: orb.cpa, ccws: [], arrays: arrays.map((keys) => ({ keys })) }];
  }

  /** What a snapshot has of it; null where there is no program. */
  save(): { orb: Orb; arrays: bigint[][] } | null {
    return this.initialized ? { orb: this.orb!, arrays: [...this.arrays()].map(({ keys }) => keys) } : null;
  }

  /** Segments a program may have. */
  protected readonly chainsMax: number = CHAINS_MAX;

  /** Copies bytes from the guest's memory: copy_from_iova, or vfio_dma_rw. */
  protected abstract copyFromIova(vdev: Vdev, iova: bigint, length: number): KernelStep<Errno | Uint8Array>;

  /** Finds a CCW's pages and pins them; an IDA list is read even where nothing is transferred. */
  protected abstract fetchCcw(vdev: Vdev, orb: Orb, ccw: Ccw, array: PageArray): KernelStep<Errno | null>;

  /** Gives a CCW's pages back. */
  protected abstract unpinFree(vdev: Vdev, array: PageArray): KernelStep<void>;

  /** Whether IDA lists of the ORB's format are understood (they all are from 6.3 on). */
  protected understandsIdal(orb: Orb): boolean {
    return !idalIs2k(orb);
  }

  /** ccwchain_handle_ccw and ccwchain_loop_tic: a segment, and those its TICs lead to, before the next TIC's. */
  private *handleCcw(vdev: Vdev, orb: Orb, cpa: number): KernelStep<Errno | null> {
    const open: { chain: Chain; next: number }[] = [];
    let errno = yield* this.copyChain(vdev, orb, cpa, open);
    while (!errno && open.length > 0) {
      const top = open.at(-1)!;
      const tic = top.chain.ccws[top.next++];
      if (!tic) open.pop();
      else if (isTic(tic) && !this.target(tic.cda)) errno = yield* this.copyChain(vdev, orb, tic.cda, open);
    }
    return errno;
  }

  private *copyChain(
    vdev: Vdev,
    orb: Orb,
    cpa: number,
    open: { chain: Chain; next: number }[],
  ): KernelStep<Errno | null> {
    // The driver reads as much as a segment may have, whatever its length turns out to be.
    const bytes = yield* this.copyFromIova(vdev, BigInt(cpa), CHAIN_LENGTH_MAX * CCW_SIZE);
    if (typeof bytes === 'string') return bytes;
    const ccws = parseCcws(bytes, orb.fmt);
    const length = this.calcLength(vdev, orb, ccws, cpa);
    if (typeof length === 'string') return length;
    if (this.chains.length >= this.chainsMax) {
      return vdev.api.refuse('EINVAL', `the channel program has more than ${this.chainsMax} segments`);
    }
    const chain: Chain = { iova: cpa, ccws: ccws.slice(0, length), arrays: [] };
    this.chains.push(chain);
    open.push({ chain, next: 0 });
    return null;
  }

  /** ccwchain_calc_length: up to a CCW that neither chains nor is a TIC back into the segment. */
  private calcLength(vdev: Vdev, orb: Orb, ccws: readonly Ccw[], cpa: number): number | Errno {
    for (const [i, ccw] of ccws.entries()) {
      if (isIdal(ccw) && !this.understandsIdal(orb)) {
        return vdev.api.refuse('EOPNOTSUPP', 'the ORB has IDAWs of format 1, or for 2 KiB each');
      }
      const loops = isTic(ccw) && isCpaWithinRange(ccw.cda, cpa, i + 1);
      if (!isChain(ccw) && !loops) return i + 1;
    }
    const where = hex(BigInt(cpa));
    return vdev.api.refuse('EINVAL', `the segment at ${where} has more than ${CHAIN_LENGTH_MAX} CCWs`);
  }

  at(segment: number, index: number): Ccw | null {
    return this.chains[segment]?.ccws[index] ?? null;
  }

  /** tic_target_chain_exists, ccwchain_fetch_tic: the first segment that an address lies in. */
  target(cda: number): { segment: number; index: number } | null {
    const segment = this.chains.findIndex(({ iova, ccws }) => isCpaWithinRange(cda, iova, ccws.length));
    return segment < 0 ? null : { segment, index: (cda - this.chains[segment]!.iova) / CCW_SIZE };
  }
}

/** Bytes of pinned pages, the first from its offset on. */
export function copyPinned(vdev: Vdev, iova: bigint, length: number, pfns: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  for (const pfn of pfns) {
    const offset = done === 0 ? offsetInPage(iova) : 0;
    const count = Math.min(PAGE_SIZE - offset, length - done);
    bytes.set(vdev.api.readPinned(pfn, offset, count), done);
    done += count;
  }
  return bytes;
}

/** idal_nr_words and idal_2k_nr_words: blocks that [address, address+bytes) touches. */
export function idawCount(address: bigint, bytes: number, blockSize: number): number {
  return Math.ceil((Number(address % BigInt(blockSize)) + bytes) / blockSize);
}

/** An IDAW of format 2. */
export function idawAt(list: Uint8Array, index: number): bigint {
  return new DataView(list.buffer, list.byteOffset).getBigUint64(index * 8);
}
