import { Refused } from '../machine/refused.ts';

/** Characters from which on a line is not made one text: it is parsed in turns, from its parts. */
const LONG = 256 * 1024;

/** A long line, as it came. */
export class LongLine {
  constructor(readonly parts: readonly string[]) {}
}

export type Line = string | LongLine;

/** What a part of a line takes besides its characters, bytes. */
const PART_BYTES = 16;

/** Lines of a text that comes in chunks. One that is too long is passed over to its end. */
export class Lines {
  private parts: string[] = [];
  private length = 0;
  /** Whether what comes belongs to a line that was too long. */
  private passing = false;

  /** @param limit the most characters a line may have */
  constructor(private readonly limit: number) {}

  /** Bytes that the line takes that is coming, about. */
  get bytes(): number {
    return this.length + this.parts.length * PART_BYTES;
  }

  /** The line that is coming is passed over to its end. */
  passOver(): void {
    this.forget();
    this.passing = true;
  }

  /** The lines that a chunk completes, a Refused in place of one that is too long; empty ones are left out. */
  *take(chunk: string): Generator<Line | Refused> {
    let start = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      this.add(chunk.slice(start, end));
      start = end + 1;
      if (this.passing) this.passing = false;
      else if (this.length > this.limit) yield this.tooLong();
      else yield* this.line();
      this.forget();
    }
    if (this.passing) return;
    this.add(chunk.slice(start));
    if (this.length <= this.limit) return;
    this.passOver();
    yield this.tooLong();
  }

  /** The last line, where the text did not end with a line's end. */
  *end(): Generator<Line> {
    yield* this.line();
    this.forget();
  }

  private add(part: string): void {
    if (this.passing || part === '') return;
    this.parts.push(part);
    this.length += part.length;
  }

  private *line(): Generator<Line> {
    const { parts, length } = this;
    if (length > LONG) yield new LongLine(parts);
    else {
      const line = parts.length === 1 ? parts[0]! : parts.join('');
      if (line.trim() !== '') yield line;
    }
  }

  private forget(): void {
    this.parts = [];
    this.length = 0;
  }

  private tooLong(): Refused {
    return Refused.tooLarge(`a line is longer than ${this.limit} bytes`);
  }
}
