import { PerformanceObserver, performance } from 'node:perf_hooks';
import { Sampler } from './longest-turn.ts';

/** Whether it is told on stderr what the longest turns are made of. */
const TELLS = process.env.STALLS_TOLD === '1';

/** The longest turn of an event loop. */
export interface Longest {
  /** Milliseconds, the shorter of time on the wall and processor time. */
  readonly ms: number;
  /** How much of that the engine collected garbage. */
  readonly gcMs: number;
}

interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** How long the event loop goes from one turn to the next while it is watched. */
export class Stalls {
  private worst: Stretch & { readonly ms: number } = { from: 0, to: 0, ms: 0 };
  private watching = false;
  private collections: Stretch[] = [];
  private sampler: Sampler | null = null;
  private readonly observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      this.collections.push({ from: startTime, to: startTime + duration });
    }
  });

  async watch(): Promise<void> {
    this.worst = { from: 0, to: 0, ms: 0 };
    this.collections = [];
    this.observer.observe({ entryTypes: ['gc'] });
    if (TELLS) {
      this.sampler = new Sampler();
      await this.sampler.start();
    }
    this.watching = true;
    let from = performance.now();
    let cpu = process.cpuUsage();
    const turn = () => {
      if (!this.watching) return;
      const to = performance.now();
      // What another process took of the processor is no stall of this one: it used none of it then.
      const { user, system } = process.cpuUsage(cpu);
      const ms = Math.min(to - from, (user + system) / 1000);
      if (ms > this.worst.ms) this.worst = { from, to, ms };
      from = performance.now();
      cpu = process.cpuUsage();
      setImmediate(turn);
    };
    setImmediate(turn);
  }

  /** The longest so far; ends the watch. */
  async longest(): Promise<Longest> {
    this.watching = false;
    // The collections of the last turn are told in the next ones.
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.observer.disconnect();
    const { from, to, ms } = this.worst;
    const gcMs = this.collections.reduce(
      (sum, one) => sum + Math.max(0, Math.min(one.to, to) - Math.max(one.from, from)),
      0,
    );
    await this.tell(from, to);
    return { ms, gcMs: Math.min(gcMs, ms) };
  }

  private async tell(from: number, to: number): Promise<void> {
    if (!this.sampler) return;
    // Both are microseconds of the same clock, which began elsewhere.
    const began = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000;
    const lines = await this.sampler.stop(began + from * 1000, began + to * 1000);
    this.sampler = null;
    console.error(`${this.worst.ms.toFixed(1)} ms:\n  ${lines.join('\n  ')}`);
  }
}
