import { closeSync, openSync, writeFileSync } from 'node:fs';
import { UsageError } from '../arguments.ts';
import type { Step } from '../replay/scenario.ts';
import { FileError } from '../whole-file.ts';

/** A trace that is written while it grows: one JSON scenario, a step a line. */
export class TraceFile {
  private readonly fd: number;
  private steps = 0;
  /** Why not all of it could be written: told at the end, as whoever adds steps has no part in it. */
  private failed: FileError | null = null;

  /** @throws UsageError where the file cannot be made */
  constructor(
    private readonly path: string,
    id: string,
    kernel: string,
  ) {
    try {
      this.fd = openSync(path, 'w');
    } catch (error) {
      throw new UsageError(`--trace: ${new FileError(path, error).message}`);
    }
    this.write(`{"id":${JSON.stringify(id)},"kernel":${JSON.stringify(kernel)},"steps":[`);
  }

  add(steps: readonly Step[]): void {
    if (steps.length === 0) return;
    const lines = steps.map((step) => JSON.stringify(step)).join(',\n');
    if (this.write(`${this.steps > 0 ? ',' : ''}\n${lines}`)) this.steps += steps.length;
  }

  /**
   * Ends the file; says in words what is in it. `cut`: the steps are not all there were.
   *
   * @throws FileError where it is not whole
   */
  end(cut: boolean): string {
    this.write('\n]}\n');
    closeSync(this.fd);
    if (this.failed) throw this.failed;
    const missing = cut ? '; the service kept no more, so it does not replay as a whole' : '';
    return `the trace is in ${this.path} (${this.steps} steps${missing})`;
  }

  /** Writes all of a text, in as many parts as it takes; false where that fails, and after it has. */
  private write(text: string): boolean {
    if (this.failed) return false;
    try {
      writeFileSync(this.fd, text);
      return true;
    } catch (error) {
      this.failed = new FileError(this.path, error);
      return false;
    }
  }
}
