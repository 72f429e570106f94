import { PAGE } from './naive-values.ts';

/** A synthetic driver's configuration. */
export interface DriverConfig {
  type: 'synthetic';
  onDmaUnmap: string;
  ignoreFirst?: number;
  unpinOnClose?: boolean;
}

/** A synthetic driver of the naive model. */
export class NaiveDriver {
  /** Its list of its own pins: keys, sorted, one entry a pin. */
  readonly own: bigint[] = [];
  private callbacks = 0;

  constructor(public config: DriverConfig) {}

  get listens(): boolean {
    return this.config.onDmaUnmap !== 'no-callback';
  }

  note(keys: readonly bigint[]): void {
    this.own.push(...keys);
    this.own.sort((a, b) => (a < b ? -1 : 1));
  }

  forget(keys: readonly bigint[]): void {
    for (const key of keys) {
      const at = this.own.indexOf(key);
      if (at >= 0) this.own.splice(at, 1);
    }
  }

  /** close_device: the list ends, whatever it leaves pinned. */
  close(unpin: (key: bigint) => void): void {
    if (this.config.unpinOnClose) this.unpinWhile(unpin, () => this.own[0]);
    this.own.length = 0;
  }

  /** dma_unmap. */
  dmaUnmap(iova: bigint, length: bigint, unpin: (key: bigint) => void): void {
    this.callbacks++;
    const lowest = (size: bigint) => this.own.find((key) => key >= iova && key < iova + size);
    let once = true;
    switch (this.config.onDmaUnmap) {
      case 'unpin-range':
        if (this.callbacks > (this.config.ignoreFirst ?? 0)) this.unpinWhile(unpin, () => lowest(length));
        return;
      case 'unpin-one':
        this.unpinWhile(unpin, () => {
          const key = once ? lowest(length) : undefined;
          once = false;
          return key;
        });
        return;
      case 'unpin-first-page':
        this.forget([iova]);
        unpin(iova);
        return;
      case 'unpin-all-pages':
        for (let page = iova; page < iova + length && page < iova + 512n * PAGE; page += PAGE) {
          this.forget([page]);
          unpin(page);
        }
        return;
      case 'reset-if-start-pinned':
        if (lowest(PAGE) !== undefined) this.unpinWhile(unpin, () => this.own[0]);
        return;
      case 'reset-if-overlap':
        if (lowest(length) !== undefined) this.unpinWhile(unpin, () => this.own[0]);
    }
  }

  private unpinWhile(unpin: (key: bigint) => void, next: () => bigint | undefined): void {
    for (let key = next(); key !== undefined; key = next()) {
      this.forget([key]);
      unpin(key);
    }
  }
}
