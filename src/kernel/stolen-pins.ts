/** A pin by its IOVA: page, offset in the page, and how many pages. */
export interface PinKey {
  readonly page: number;
  readonly offset: number;
  readonly npage: number;
}

/** A pin that a device (its number) believes it holds although another one dropped it. */
export interface StolenPin extends PinKey {
  readonly device: number;
}

/** One of them, in its place among all, and linked to the next one of its device that begins in the same page. */
interface Stolen extends StolenPin {
  readonly order: number;
  next: Stolen | undefined;
}

/** What was taken from one device. */
interface OfDevice {
  count: number;
  /** Pages of the longest there ever was. */
  longest: number;
  readonly byPage: Map<number, Stolen>;
}

/** Pins that devices believe they hold, oldest first, found by device and page. */
export class StolenPins {
  private readonly all = new Map<string, Stolen>();
  private readonly byDevice = new Map<number, OfDevice>();
  private added = 0;

  get size(): number {
    return this.all.size;
  }

  /** All of them, oldest first. */
  list(): StolenPin[] {
    return Array.from(this.all.values(), ({ device, page, offset, npage }) => ({
      device,
      page,
      offset,
      npage,
    }));
  }

  /** Numbers of the devices that they were taken from. */
  devices(): Iterable<number> {
    return this.byDevice.keys();
  }

  /** Adds one; one that is there keeps its place. */
  add(pin: StolenPin): void {
    const key = keyOf(pin);
    if (this.all.has(key)) return;
    const { device, page, offset, npage } = pin;
    let own = this.byDevice.get(device);
    if (!own) {
      own = { count: 0, longest: 0, byPage: new Map() };
      this.byDevice.set(device, own);
    }
    const stolen = { device, page, offset, npage, order: this.added++, next: own.byPage.get(page) };
    this.all.set(key, stolen);
    own.byPage.set(page, stolen);
    own.count++;
    own.longest = Math.max(own.longest, npage);
  }

  delete(pin: StolenPin): void {
    const key = keyOf(pin);
    const stolen = this.all.get(key);
    if (!stolen) return;
    this.all.delete(key);
    const own = this.byDevice.get(pin.device)!;
    if (--own.count === 0) {
      this.byDevice.delete(pin.device);
      return;
    }
    let before = own.byPage.get(pin.page)!;
    if (before !== stolen) {
      while (before.next !== stolen) before = before.next!;
      before.next = stolen.next;
    } else if (stolen.next) own.byPage.set(pin.page, stolen.next);
    else own.byPage.delete(pin.page);
  }

  /** Forgets all that was taken from a device. */
  deleteOf(device: number): void {
    const own = this.byDevice.get(device);
    if (!own) return;
    for (const first of own.byPage.values()) for (const pin of chain(first)) this.all.delete(keyOf(pin));
    this.byDevice.delete(device);
  }

  /** What was taken from a device of these pages, oldest first. Looks at those near, or, where they are fewer, at all. */
  within(device: number, firstPage: number, pages: number): StolenPin[] {
    const own = this.byDevice.get(device);
    if (!own) return [];
    const found: Stolen[] = [];
    const look = (first: Stolen | undefined) => {
      for (const pin of chain(first)) {
        if (pin.page + pin.npage > firstPage && pin.page < firstPage + pages) found.push(pin);
      }
    };
    const from = firstPage - own.longest + 1;
    const to = firstPage + pages;
    if (to - from > own.byPage.size) for (const first of own.byPage.values()) look(first);
    else for (let page = from; page < to; page++) look(own.byPage.get(page));
    return found.sort((a, b) => a.order - b.order);
  }
}

function* chain(first: Stolen | undefined): Generator<Stolen, void, void> {
  for (let pin = first; pin; pin = pin.next) yield pin;
}

function keyOf({ device, page, offset, npage }: StolenPin): string {
  return `${device} ${page} ${offset} ${npage}`;
}
