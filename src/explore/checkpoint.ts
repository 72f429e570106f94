import { existsSync, readFileSync, rmSync } from 'node:fs';
import { FileError, writeWhole } from '../whole-file.ts';
import type { Standing } from './layers.ts';
import type { Visited } from './visited.ts';

/** A checkpoint that is of another search, or does not fit. */
export class CheckpointError extends Error {}

/** Keeps a search that was cut short beside its traces: the states it had found, and where it stood. */
export class Checkpoint {
  private readonly path: string;

  /**
   * @param out the file of the traces
   * @param what tells what is searched: another search does not go on from here
   */
  constructor(
    out: string,
    private readonly what: string,
  ) {
    this.path = `${out}.search`;
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /** @throws FileError */
  save(visited: Visited, standing: Standing): void {
    const states = Buffer.concat(visited.save());
    const head = Buffer.from(`${JSON.stringify({ what: this.what, standing, bytes: states.length })}\n`);
    writeWhole(this.path, Buffer.concat([head, states]));
  }

  /**
   * Fills a fresh table; where the search stood.
   *
   * @throws CheckpointError
   */
  load(visited: Visited): Standing {
    const file = this.read();
    const end = file.indexOf('\n');
    if (end < 0) throw new CheckpointError(`${this.path} is cut short`);
    const { what, standing, bytes } = this.head(file.toString('utf8', 0, end));
    const states = file.subarray(end + 1);
    if (states.length !== bytes) throw new CheckpointError(`${this.path} is cut short`);
    if (what !== this.what) throw new CheckpointError(`${this.path} is of another search: ${what}`);
    if (!visited.restore(new Uint8Array(states))) {
      throw new CheckpointError(`${this.path} has more states than there is memory for`);
    }
    return standing;
  }

  private read(): Buffer {
    try {
      return readFileSync(this.path);
    } catch (error) {
      throw new CheckpointError((error as Error).message);
    }
  }

  private head(text: string): { what: string; standing: Standing; bytes: number } {
    try {
      return JSON.parse(text);
    } catch {
      throw new CheckpointError(`${this.path} is no search that was cut short`);
    }
  }

  /** @throws FileError */
  remove(): void {
    try {
      rmSync(this.path, { force: true });
    } catch (error) {
      throw new FileError(this.path, error);
    }
  }
}
