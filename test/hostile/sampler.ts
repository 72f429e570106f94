import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Loaded into a service that is attacked: measures the turns of its event loop, and tells when it is asked. */

/** Between two looks, milliseconds. */
const LOOK_MS = 5;

let longest = 0;
let stalls = 0;
let wall = performance.now();
/** What the thread of the event loop has been at work, milliseconds: what others of the process do holds nobody up. */
const worked = () => Number(readFileSync(SCHEDSTAT, 'latin1').split(' ', 1)[0]) / 1e6;
const SCHEDSTAT = `/proc/self/task/${process.pid}/schedstat`;
let before = worked();
/** A turn that lasts longer counts as a stall, milliseconds. */
const STALL_MS = 50;

/**
 * A turn lasts as long as its thread was at work in it: on a machine with other work the time on the wall says nothing
 * about this process.
 */
const look = setInterval(() => {
  const now = performance.now();
  const after = worked();
  const turn = Math.min(now - wall - LOOK_MS, after - before);
  if (turn > longest) longest = turn;
  if (turn > STALL_MS) {
    stalls++;
    process.send!({ stallMs: Math.round(turn) });
  }
  wall = now;
  before = after;
}, LOOK_MS);
look.unref();

/** How late timers are, on the wall's clock. */
const delays = monitorEventLoopDelay({ resolution: LOOK_MS });
delays.enable();
const late = (percentile: number) =>
  Math.max(0, Math.round(delays.percentile(percentile) / 1e5 - LOOK_MS * 10) / 10);

process.on('message', (message: { forget?: boolean }) => {
  if (message.forget !== undefined) (globalThis as { gc?: () => void }).gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  process.send!({ longestMs: Math.round(longest), stalls, rss, heapUsed, p50Ms: late(50), p99Ms: late(99) });
  if (!message.forget) return;
  delays.reset();
  longest = 0;
  stalls = 0;
  // What the collection took is not the service's.
  wall = performance.now();
  before = worked();
});
process.channel?.unref();
