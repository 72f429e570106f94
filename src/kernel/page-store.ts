import type { Budget } from '../budget.ts';
import { itemsOf, PAUSE } from '../pause.ts';
import { PAGE_SIZE } from './pages.ts';

/** Pages whose bytes are looked at, all of them, without a pause. */
const LOOKED_AT_ONCE = 64;

/** The contents of a page: the byte it is full of, or 4096 bytes of its own. */
export type PageContent = Uint8Array | number;

/** Pages that are copied between two stops. */
const COPIED = 256;

/** The contents of memory, sparse: a page that is absent is full of the background. */
export class PageStore {
  private readonly contents = new Map<number, PageContent>();

  /**
   * @param budget pages with contents of their own
   * @param background byte of every page that nobody wrote
   */
  constructor(
    private readonly budget: Budget,
    readonly background: number = 0,
  ) {}

  /** Pages with contents of their own. */
  get size(): number {
    return this.contents.size;
  }

  /**
   * A copy, for a child of a fork: at the cost of another budget, whatever it allows. Stops now and then.
   *
   * @param store what becomes the copy; by default a new one
   */
  *copy(budget: Budget, store = new PageStore(budget, this.background)): Generator<void, PageStore> {
    let copied = 0;
    for (const [page, content] of this.contents) {
      store.set(page, typeof content === 'number' ? content : content.slice());
      if (++copied % COPIED === 0) yield;
    }
    return store;
  }

  /** Whether a page has contents of its own. */
  has(page: number): boolean {
    return this.contents.has(page);
  }

  /** Copies bytes of one page out. */
  read(page: number, offset: number, count: number, out: Uint8Array, at: number): void {
    const content = this.contents.get(page) ?? this.background;
    if (typeof content === 'number') out.fill(content, at, at + count);
    else out.set(content.subarray(offset, offset + count), at);
  }

  /** The bytes of a page, to be changed. */
  own(page: number): Uint8Array {
    const content = this.contents.get(page);
    if (content instanceof Uint8Array) return content;
    const own = new Uint8Array(PAGE_SIZE).fill(content ?? this.background);
    this.set(page, own);
    return own;
  }

  /** Sets all of a page; to the background: it is absent again. */
  set(page: number, content: PageContent): void {
    if (content === this.background) {
      this.delete(page);
      return;
    }
    if (!this.contents.has(page)) this.budget.take(1);
    this.contents.set(page, content);
  }

  delete(page: number): void {
    if (this.contents.delete(page)) this.budget.give(1);
  }

  /** Forgets every page. */
  clear(): void {
    this.budget.give(this.contents.size);
    this.contents.clear();
  }

  /** Forgets the pages [from, to). */
  deleteRange(from: number, to: number): void {
    if (to - from <= this.contents.size) for (let page = from; page < to; page++) this.delete(page);
    else for (const page of [...this.contents.keys()]) if (page >= from && page < to) this.delete(page);
  }

  /**
   * Every page with contents of its own, lowest first: the byte it is full of, however it came there, or its bytes.
   * One that is full of the background's byte has none.
   */
  resident(): [number, PageContent][] {
    return itemsOf(this.eachResident());
  }

  /** The same, one by one: the memory stays as it is meanwhile. */
  *eachResident(): Generator<[number, PageContent] | typeof PAUSE, void, void> {
    let looked = 0;
    // Sorted as numbers: a comparison in words of ours for each would take long.
    for (const page of Float64Array.from(this.contents.keys()).sort()) {
      const content = this.contents.get(page)!;
      const shown = typeof content === 'number' ? content : byteOf(content);
      if (shown !== this.background) yield [page, shown];
      // Whose bytes were looked at took time, shown or not.
      if (typeof content !== 'number' && ++looked % LOOKED_AT_ONCE === 0) yield PAUSE;
    }
  }
}

/** The byte that all of these are; themselves where they differ. */
function byteOf(bytes: Uint8Array): PageContent {
  const first = bytes[0]!;
  return bytes.every((byte) => byte === first) ? first : bytes;
}
