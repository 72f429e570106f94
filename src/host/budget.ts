/** Bytes that may be taken, within what everybody may take together. */
export class Budget {
  used = 0;
  private closed = false;

  /**
   * @param most bytes
   * @param all of everybody
   */
  constructor(
    readonly most: number,
    private readonly all: Budget | null = null,
  ) {}

  /** Whether so many bytes more fit. */
  has(bytes: number): boolean {
    return this.used + bytes <= this.most && (this.all?.has(bytes) ?? true);
  }

  /** Whether more is taken than may be. */
  get isOver(): boolean {
    return !this.has(0);
  }

  take(bytes: number): void {
    if (this.closed) return;
    this.used += bytes;
    this.all?.take(bytes);
  }

  give(bytes: number): void {
    this.take(-bytes);
  }

  /** Nothing is counted any more, and all is given back: what was counted goes. */
  close(): void {
    this.give(this.used);
    this.closed = true;
  }
}
