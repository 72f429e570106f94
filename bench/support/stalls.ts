import { performance } from 'node:perf_hooks';

/** How long the event loop goes from one turn to the next while it is watched. */
export class Stalls {
  private worstMs = 0;
  private watching = false;

  watch(): void {
    this.worstMs = 0;
    this.watching = true;
    let wall = performance.now();
    let cpu = process.cpuUsage();
    const turn = () => {
      if (!this.watching) return;
      const now = performance.now();
      // What another process took of the processor is no stall of this one: it used none of it then.
      const { user, system } = process.cpuUsage(cpu);
      this.worstMs = Math.max(this.worstMs, Math.min(now - wall, (user + system) / 1000));
      wall = now;
      cpu = process.cpuUsage();
      setImmediate(turn);
    };
    setImmediate(turn);
  }

  /** The longest so far, milliseconds; ends the watch. */
  longest(): number {
    this.watching = false;
    return this.worstMs;
  }
}
