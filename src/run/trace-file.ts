import { closeSync, openSync, writeSync } from 'node:fs';
import type { Step } from '../replay/scenario.ts';

/** A trace that is written while it grows: one JSON scenario, a step a line. */
export class TraceFile {
  private readonly fd: number;
  private steps = 0;

  /** @throws where the file cannot be made */
  constructor(
    private readonly path: string,
    id: string,
    kernel: string,
  ) {
    this.fd = openSync(path, 'w');
    writeSync(this.fd, `{"id":${JSON.stringify(id)},"kernel":${JSON.stringify(kernel)},"steps":[`);
  }

  add(steps: readonly Step[]): void {
    if (steps.length === 0) return;
    const lines = steps.map((step) => JSON.stringify(step)).join(',\n');
    writeSync(this.fd, `${this.steps > 0 ? ',' : ''}\n${lines}`);
    this.steps += steps.length;
  }

  /** Ends the file; says in words what is in it. `cut`: the steps are not all there were. */
  end(cut: boolean): string {
    writeSync(this.fd, '\n]}\n');
    closeSync(this.fd);
    const missing = cut ? '; the service kept no more, so it does not replay as a whole' : '';
    return `the trace is in ${this.path} (${this.steps} steps${missing})`;
  }
}
