import type { SyntheticConfig, SyntheticState } from '../../../schemas/drivers/synthetic.ts';
import type { DriverApi, MdevDriver, PinResult, UnpinResult } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { hex, PAGE_SIZE, TOP } from '../../kernel/pages.ts';
import { each, upTo } from '../../kernel/saved/each.ts';
import { type KernelStep, RESCHED } from '../../kernel/task.ts';
import type { ListOf } from '../../kernel/vfio/container.ts';
import { itemsOf } from '../../pause.ts';
import { OwnPins } from './own-pins.ts';

const PAGE = BigInt(PAGE_SIZE);
/** Pages of a range that unpin-all-pages touches. */
const UNPIN_ALL_PAGES_MAX = 512;

/** A test driver: it pins only when told to, keeps a list of its pins, and answers callbacks as configured. */
export class SyntheticDriver implements MdevDriver {
  readonly hasRequest = true;
  readonly pins = new OwnPins();
  private callbacks = 0;
  private holding: boolean;
  private held = false;

  constructor(public config: SyntheticConfig) {
    this.holding = config.holdCallbacks ?? false;
  }

  get hasDmaUnmap(): boolean {
    return this.config.onDmaUnmap !== 'no-callback';
  }

  state(most: number, list: ListOf = itemsOf): object {
    const pins = list(each(upTo(this.pins.entries(), most), ([iova, times]) => ({ iova: hex(iova), times })));
    const { callbacks, holding, held } = this;
    return { callbacks, holding, held, pinnedKeys: this.pins.count, pins };
  }

  *restore(state: SyntheticState): Generator<void, void> {
    this.callbacks = state.callbacks;
    this.holding = state.holding;
    this.held = state.held;
    for (const [i, { iova, times }] of state.pins.entries()) {
      this.pins.add(BigInt(iova), times);
      if (i % 1024 === 1023) yield;
    }
  }

  /** set-driver: behaves differently from now on; its pins and the number of callbacks seen stay. */
  configure(config: SyntheticConfig): void {
    this.config = config;
    this.holding = config.holdCallbacks ?? false;
  }

  /** resume-callbacks: holds no more; true when a callback was held, which the caller must resume. */
  stopHolding(): boolean {
    const { held } = this;
    this.holding = false;
    this.held = false;
    return held;
  }

  /** Pins when told to: one entry on its list for each page. */
  *pinPages(api: DriverApi, iova: bigint, npage: number, prot: number): KernelStep<PinResult> {
    const pinned = yield* api.pinPages(iova, npage, prot);
    if (typeof pinned === 'string') return pinned;
    for (const key of keysFrom(api.keyOf(iova), pinned.length)) this.pins.add(key);
    return pinned;
  }

  /** Takes each page it named off its list, whatever came of it (5.10: spec-29). */
  *unpinPages(api: DriverApi, iova: bigint, npage: number): KernelStep<UnpinResult> {
    const answer = yield* api.unpinPages(iova, npage);
    if (npage <= api.pinPagesMax) {
      const key = api.keyOf(iova);
      const end = key + BigInt(npage) * PAGE;
      this.forget(key, end < TOP ? end : TOP, key % PAGE);
      if (end > TOP) this.forget(0n, end - TOP, key % PAGE);
    }
    return answer;
  }

  /** One entry less of each page in [from, to) at this offset: there may be far more pages than entries. */
  private forget(from: bigint, to: bigint, offset: bigint): void {
    for (let at = from; at < to; ) {
      const pin = this.pins.lowestIn(at, to - at);
      if (pin === null) return;
      if (pin % PAGE === offset) this.pins.delete(pin);
      at = pin + 1n;
    }
  }

  *openDevice(): KernelStep<Errno | null> {
    return null;
  }

  /**
   * Its list ends with the last close, whatever it left pinned (5.10: deep-00164). A pin made while closed is
   * still on it after the next open (5.10: multi-00157).
   */
  *closeDevice(api: DriverApi): KernelStep<void> {
    if (this.config.unpinOnClose) yield* this.unpinEverything(api);
    this.pins.clear();
  }

  *dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<void> {
    // One callback is held at a time: a second one beside it runs on (5.10, conc-00010).
    if (this.holding && !this.held) {
      this.held = true;
      yield* api.waitOutside('held', 'dma-unmap');
    }
    this.callbacks++;
    switch (this.config.onDmaUnmap) {
      case 'ignore':
      case 'no-callback':
        return;
      case 'unpin-range':
        if (this.callbacks <= (this.config.ignoreFirst ?? 0)) return;
        if (this.pins.lowestIn(iova, length) !== null) yield* this.unpinRange(api, iova, length);
        return;
      case 'unpin-one': {
        const lowest = this.pins.lowestIn(iova, length);
        if (lowest !== null) yield* this.unpin(api, lowest);
        return;
      }
      case 'unpin-first-page':
        yield* this.unpin(api, iova);
        return;
      case 'reset-if-start-pinned':
        if (this.pins.lowestIn(iova, PAGE) !== null) yield* this.unpinEverything(api);
        return;
      case 'reset-if-overlap':
        if (this.pins.lowestIn(iova, length) !== null) yield* this.unpinEverything(api);
        return;
      case 'unpin-all-pages':
        yield* this.unpinAllPages(api, iova, length);
    }
  }

  private *unpin(api: DriverApi, iova: bigint): KernelStep<void> {
    // Off the list only afterwards: a call that would hang here leaves the driver as it was.
    yield* api.unpinPages(iova, 1);
    this.pins.delete(iova);
    if (api.worked()) yield RESCHED;
  }

  private *unpinRange(api: DriverApi, iova: bigint, length: bigint): KernelStep<void> {
    for (let pin = this.pins.lowestIn(iova, length); pin !== null; pin = this.pins.lowestIn(iova, length)) {
      yield* this.unpin(api, pin);
    }
  }

  private *unpinEverything(api: DriverApi): KernelStep<void> {
    for (let pin = this.pins.lowest(); pin !== null; pin = this.pins.lowest()) yield* this.unpin(api, pin);
  }

  private *unpinAllPages(api: DriverApi, iova: bigint, length: bigint): KernelStep<void> {
    const pages = Math.min(Number(length / PAGE), UNPIN_ALL_PAGES_MAX);
    for (let i = 0; i < pages; i++) yield* this.unpin(api, iova + BigInt(i) * PAGE);
  }
}

/** Keys of `npage` pages, one after the other; past 2^64 they go on from 0. */
function* keysFrom(key: bigint, npage: number): Generator<bigint, void, void> {
  for (let i = 0; i < npage; i++) yield BigInt.asUintN(64, key + BigInt(i) * PAGE);
}
