import { Refused } from '../machine/refused.ts';

/** Lines of a text that comes in chunks. One that is too long is passed over to its end. */
export class Lines {
  private rest = '';
  /** Whether what comes belongs to a line that was too long. */
  private passing = false;

  /** @param limit the most characters a line may have */
  constructor(private readonly limit: number) {}

  /** The lines that a chunk completes, a Refused in place of one that is too long; empty ones are left out. */
  *take(chunk: string): Generator<string | Refused> {
    let start = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      const line = this.rest + chunk.slice(start, end);
      start = end + 1;
      this.rest = '';
      if (this.passing) this.passing = false;
      else if (line.length > this.limit) yield this.tooLong();
      else if (line.trim() !== '') yield line;
    }
    if (this.passing) return;
    this.rest += chunk.slice(start);
    if (this.rest.length <= this.limit) return;
    this.rest = '';
    this.passing = true;
    yield this.tooLong();
  }

  /** The last line, where the text did not end with a line's end. */
  *end(): Generator<string> {
    if (this.rest.trim() !== '') yield this.rest;
  }

  private tooLong(): Refused {
    return Refused.tooLarge(`a line is longer than ${this.limit} bytes`);
  }
}
