import { Session } from 'node:inspector/promises';

interface Node {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

/** How many functions are told, and how often a sample is taken, microseconds. */
const TOLD = 25;
const SAMPLE_US = 200;

/** Samples what a process does, to tell what one stretch of it was made of. */
export class Sampler {
  private readonly session = new Session();

  async start(): Promise<void> {
    this.session.connect();
    await this.session.post('Profiler.enable');
    await this.session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US });
    await this.session.post('Profiler.start');
  }

  /**
   * Ends it.
   *
   * @param from microseconds of the clock that process.hrtime has
   * @param to the same
   * @returns the functions in which the stretch was spent, alone and with what they called, milliseconds
   */
  async stop(from: number, to: number): Promise<string[]> {
    const { profile } = await this.session.post('Profiler.stop');
    this.session.disconnect();
    const nodes = new Map(profile.nodes.map((node) => [node.id, node as Node]));
    const parents = new Map<number, number>();
    for (const { id, children = [] } of nodes.values()) for (const child of children) parents.set(child, id);
    const own = new Map<string, number>();
    const all = new Map<string, number>();
    let at = profile.startTime;
    profile.samples!.forEach((id, i) => {
      at += profile.timeDeltas![i]!;
      // A sample stands for the time up to the next one.
      const next = at + (profile.timeDeltas![i + 1] ?? 0);
      const us = Math.min(next, to) - Math.max(at, from);
      if (us <= 0) return;
      add(own, nameOf(nodes.get(id)!), us);
      const stack = new Set<string>();
      for (let one: number | undefined = id; one !== undefined; one = parents.get(one)) {
        stack.add(nameOf(nodes.get(one)!));
      }
      for (const name of stack) add(all, name, us);
    });
    return [...all]
      .sort(([, a], [, b]) => b - a)
      .filter(([name]) => !name.startsWith('(root)'))
      .slice(0, TOLD)
      .map(([name, us]) => `${ms(us)} ms, alone ${ms(own.get(name) ?? 0)}: ${name}`);
  }
}

function add(sums: Map<string, number>, name: string, us: number): void {
  sums.set(name, (sums.get(name) ?? 0) + us);
}

const ms = (us: number) => (us / 1000).toFixed(1).padStart(6);

function nameOf({ callFrame: { functionName, url, lineNumber } }: Node): string {
  return `${functionName || '(anonymous)'} ${url.replace(/^.*\/(dist|node_modules)\//, '')}:${lineNumber + 1}`;
}
