/** Bytes or pages, as whoever makes it counts, that may be taken, within what everybody may take together. */
export class Budget {
  used = 0;
  private closed = false;

  /**
   * @param most how many
   * @param all of everybody
   */
  constructor(
    readonly most: number,
    private readonly all: Budget | null = null,
  ) {}

  /** How many bytes may be taken, in words that follow "more than". */
  get inWords(): string {
    const all = this.all ? `, or with other hosts' more than ${this.all.most}` : '';
    return `${this.most} bytes${all}`;
  }

  /** Whether so many more fit. */
  has(count: number): boolean {
    return this.used + count <= this.most && (this.all?.has(count) ?? true);
  }

  /** Whether more is taken than may be. */
  get isOver(): boolean {
    return !this.has(0);
  }

  take(count: number): void {
    if (this.closed) return;
    this.used += count;
    this.all?.take(count);
  }

  give(count: number): void {
    this.take(-count);
  }

  /** Nothing is counted any more, and all is given back: what was counted goes. */
  close(): void {
    this.give(this.used);
    this.closed = true;
  }
}
