import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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

  save(visited: Visited, standing: Standing): void {
    const head = Buffer.from(`${JSON.stringify({ what: this.what, standing })}\n`);
    const partial = `${this.path}.partial`;
    writeFileSync(partial, Buffer.concat([head, ...visited.save()]));
    renameSync(partial, this.path);
  }

  /**
   * Fills a fresh table; where the search stood.
   *
   * @throws CheckpointError
   */
  load(visited: Visited): Standing {
    const bytes = readFileSync(this.path);
    const end = bytes.indexOf('\n');
    const { what, standing } = JSON.parse(bytes.toString('utf8', 0, end)) as {
      what: string;
      standing: Standing;
    };
    if (what !== this.what) throw new CheckpointError(`${this.path} is of another search: ${what}`);
    if (!visited.restore(new Uint8Array(bytes.subarray(end + 1)))) {
      throw new CheckpointError(`${this.path} has more states than there is memory for`);
    }
    return standing;
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}
