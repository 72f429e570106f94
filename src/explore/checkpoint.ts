import { existsSync, readFileSync, rmSync } from 'node:fs';
import { FileError, writeWhole } from '../whole-file.ts';
import type { Standing } from './layers.ts';
import type { Scene } from './scene.ts';
import type { Visited } from './visited.ts';
import { Walker } from './walker.ts';

/** States that are walked to again before a search goes on, from the first to the last. */
const WALKED_TO = 256;

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
   * @throws CheckpointError also where this build finds other states than the one that kept it
   */
  load(visited: Visited, scene: Scene): Standing {
    const file = this.read();
    const end = file.indexOf('\n');
    if (end < 0) throw new CheckpointError(`${this.path} is cut short`);
    const { what, standing, bytes } = this.head(file.toString('utf8', 0, end));
    const states = file.subarray(end + 1);
    if (states.length !== bytes) throw new CheckpointError(`${this.path} is cut short`);
    if (what !== this.what) throw new CheckpointError(`${this.path} is of another search: ${what}`);
    const why = visited.restore(new Uint8Array(states));
    if (why === 'full') throw new CheckpointError(`${this.path} has more states than there is memory for`);
    // One that was cut short before its first state has none.
    if (why === 'broken' || standing.to > Math.max(visited.count, 1))
      throw new CheckpointError(`${this.path} is broken: it names states that it does not have`);
    if (!areThereStill(visited, scene))
      throw new CheckpointError(`${this.path} is of another version, which finds other states: remove it`);
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

/** Whether the paths of a table lead to the states that it says: calls, and how a state is hashed, differ between versions. */
function areThereStill(visited: Visited, scene: Scene): boolean {
  if (visited.count === 0) return true;
  const walker = new Walker(scene);
  for (let i = 0; i <= WALKED_TO; i++) {
    const state = Math.floor((i * (visited.count - 1)) / WALKED_TO);
    if (visited.isDropped(state)) continue;
    const path = visited.pathTo(state);
    if (path.some((action) => action >= scene.actions.length)) return false;
    walker.goTo(path);
    const { low, high } = walker.fingerprint();
    if (!visited.has(state, low, high)) return false;
  }
  return true;
}
