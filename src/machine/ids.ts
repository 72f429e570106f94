import type { Kernel } from '../kernel/kernel.ts';

/** The ids of objects whose maker chose none: `c0`, `d0`, `g0`, `p1` and on. */
export class Ids {
  /** Numbers of the next ones. */
  readonly next = { container: 0, device: 0, group: 0, process: 1 };

  constructor(private readonly kernel: Kernel) {}

  /** The chosen id, or the next one that is free. */
  take(of: keyof Ids['next'], chosen?: string): string {
    if (chosen !== undefined) return chosen;
    let id: string;
    do id = `${of[0]}${this.next[of]++}`;
    while (this.isTaken(of, id));
    return id;
  }

  private isTaken(of: keyof Ids['next'], id: string): boolean {
    const { containers, devices, processes } = this.kernel;
    switch (of) {
      case 'container':
        return containers.has(id);
      case 'device':
        return devices.has(id);
      case 'process':
        return processes.has(id);
      case 'group':
        return [...devices.values()].some(({ group }) => group.id === id);
    }
  }
}
