const WIDTH = 30;
/** Steps between two drawings, as a part of the whole. */
const DRAWINGS = 200;

/** A progress bar on a terminal; on anything else nothing. */
export class ProgressBar {
  private done = 0;
  private drawn = false;

  constructor(
    private readonly terminal: NodeJS.WriteStream,
    private readonly total: number,
  ) {}

  /** One more is done. */
  step(): void {
    this.done++;
    const every = Math.max(1, Math.floor(this.total / DRAWINGS));
    if (this.terminal.isTTY && this.total > 1 && this.done % every === 0) this.draw();
  }

  /** Takes the bar off the screen, so that a line can be written. */
  clear(): void {
    if (this.drawn) this.terminal.write('\r\x1b[K');
    this.drawn = false;
  }

  private draw(): void {
    const filled = Math.round((this.done / this.total) * WIDTH);
    const bar = '#'.repeat(filled).padEnd(WIDTH, '.');
    this.terminal.write(`\r[${bar}] ${this.done}/${this.total}`);
    this.drawn = true;
  }
}
