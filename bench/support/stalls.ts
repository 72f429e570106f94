import { existsSync, readFileSync } from 'node:fs';
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { Sampler } from './longest-turn.ts';

/** Whether it is told on stderr what the longest turns are made of. */
const TELLS = process.env.STALLS_TOLD === '1';

/** What Linux tells of a thread: nanoseconds on a processor, nanoseconds it waited for one, how often it got one. */
const SCHEDSTAT = '/proc/thread-self/schedstat';
const TELLS_WAIT = existsSync(SCHEDSTAT);

/** How long this thread has waited for a processor while others had it, milliseconds; 0 where that is not told. */
function waitedMs(): number {
  if (!TELLS_WAIT) return 0;
  return Number(readFileSync(SCHEDSTAT, 'utf8').split(' ')[1]) / 1e6;
}

/** The longest turn of an event loop. */
export interface Longest {
  /** Milliseconds, without those in which others had the processor. */
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
    let waited = waitedMs();
    const turn = () => {
      if (!this.watching) return;
      const to = performance.now();
      // What other processes took of the processor is no stall of this one: neither what this thread waited for it, nor what
      // it waited for a thread of its own that did (then no thread of this process used any).
      const { user, system } = process.cpuUsage(cpu);
      const ms = Math.min(to - from - (waitedMs() - waited), (user + system) / 1000);
      if (ms > this.worst.ms) this.worst = { from, to, ms };
      from = performance.now();
      cpu = process.cpuUsage();
      waited = waitedMs();
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
