import { writeSync } from 'node:fs';
import { levels } from 'pino';

/** Between two tries to write to a reader that does not read, milliseconds. */
const TRY_MS = 50;
/** Between two tries when the process ends, milliseconds. */
const LAST_TRY_MS = 5;
/** Bytes of lines that are written at once. */
const WRITE_MAX = 64 * 1024;

/** What a reader has that does not read now: its pipe is full. */
const FULL = new Set(['EAGAIN', 'EBUSY']);

/**
 * Writes log lines to a descriptor that does not block (the standard output of Node, where it is a pipe), and keeps those
 * that its reader has no room for. Where they are too many the oldest are dropped, which the next line says: who does not
 * read the log does not hold up the service. A reader that has gone, or a disk that is full, costs the lines alone.
 */
export class LogOutput {
  /** Lines that nobody will read, since the start. */
  dropped = 0;
  private readonly lines: Buffer[] = [];
  private bytes = 0;
  /** Lines dropped since that was last said. */
  private gap = 0;
  /** The rest of what is written in parts; it is not dropped, so that every line is whole. */
  private rest: Buffer | null = null;
  private timer: NodeJS.Timeout | null = null;

  /**
   * @param fd descriptor
   * @param most bytes of lines that are kept
   */
  constructor(
    private readonly fd: number,
    private readonly most: number,
  ) {}

  /** Takes a line, with its end. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    this.lines.push(bytes);
    this.bytes += bytes.length;
    if (this.timer === null) this.drain();
    while (this.bytes > this.most && this.lines.length > 1) this.drop();
  }

  /**
   * Writes what is left, waiting for the reader: for the end of the process.
   *
   * @param ms how long it waits, milliseconds
   * @returns whether everything is written
   */
  flush(ms: number): boolean {
    const until = performance.now() + ms;
    while (!this.drain()) {
      if (performance.now() >= until) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_TRY_MS);
    }
    return true;
  }

  /** Writes as much as goes; whether that is everything. */
  private drain(): boolean {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    for (let next = this.next(); next !== null; next = this.next()) {
      try {
        const written = writeSync(this.fd, next);
        this.rest = written < next.length ? next.subarray(written) : null;
      } catch (error) {
        this.rest = next;
        if (FULL.has((error as NodeJS.ErrnoException).code!)) {
          this.timer = setTimeout(() => this.drain(), TRY_MS).unref();
          return false;
        }
        this.rest = null;
        this.dropped++;
        this.gap++;
      }
    }
    return true;
  }

  /** What is to be written now: whole lines, or the rest of some. */
  private next(): Buffer | null {
    if (this.rest) return this.rest;
    if (this.lines.length === 0) return null;
    const taken = this.gap > 0 ? [this.mark()] : [];
    let length = 0;
    do {
      const line = this.lines.shift()!;
      length += line.length;
      taken.push(line);
    } while (this.lines.length > 0 && length + this.lines[0]!.length <= WRITE_MAX);
    this.bytes -= length;
    return taken.length === 1 ? taken[0]! : Buffer.concat(taken);
  }

  private drop(): void {
    this.bytes -= this.lines.shift()!.length;
    this.dropped++;
    this.gap++;
  }

  private mark(): Buffer {
    const { gap } = this;
    this.gap = 0;
    const msg = `${gap} log lines before this one were dropped: they were not read in time`;
    const mark = { level: levels.values.warn, time: Date.now(), pid: process.pid, dropped: gap, msg };
    return Buffer.from(`${JSON.stringify(mark)}\n`);
  }
}
