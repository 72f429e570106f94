import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';

/** Loaded into a service that is attacked: measures the turns of its event loop, and tells when it is asked. */

/** Between two looks, milliseconds. */
const LOOK_MS = 5;

let longest = 0;
let longestGarbage = 0;
let stalls = 0;
let wall = performance.now();
/** What the thread of the event loop has been at work, milliseconds: what others of the process do holds nobody up. */
const worked = () => Number(readFileSync(SCHEDSTAT, 'latin1').split(' ', 1)[0]) / 1e6;
const SCHEDSTAT = `/proc/self/task/${process.pid}/schedstat`;
let before = worked();
/** A turn that lasts longer counts as a stall, milliseconds. */
const STALL_MS = 50;

/** What the engine's collector has stopped the thread for so far, milliseconds. */
let garbage = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) garbage += duration;
}).observe({ entryTypes: ['gc'] });

/** A turn that was long. Of its collections one hears a little later; how long they take is told by how many cores there are to help. */
function noteStall(turn: number, garbageBefore: number): void {
  setTimeout(() => {
    const collected = Math.min(turn, garbage - garbageBefore);
    const worked = turn - collected;
    longest = Math.max(longest, worked);
    longestGarbage = Math.max(longestGarbage, collected);
    if (worked <= STALL_MS) return;
    stalls++;
    process.send!({ stallMs: Math.round(worked) });
  }, LOOK_MS).unref();
}

/**
 * A turn lasts as long as its thread was at work in it: on a machine with other work the time on the wall says nothing
 * about this process.
 */
let garbageBefore = 0;
const look = setInterval(() => {
  const now = performance.now();
  const after = worked();
  const turn = Math.min(now - wall - LOOK_MS, after - before);
  if (turn > STALL_MS) noteStall(turn, garbageBefore);
  else if (turn > longest) longest = turn;
  garbageBefore = garbage;
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
  const [longestMs, longestGarbageMs] = [longest, longestGarbage].map(Math.round);
  process.send!({ longestMs, longestGarbageMs, stalls, rss, heapUsed, p50Ms: late(50), p99Ms: late(99) });
  if (!message.forget) return;
  delays.reset();
  longest = 0;
  longestGarbage = 0;
  stalls = 0;
  // What the collection took is not the service's.
  wall = performance.now();
  before = worked();
});
process.channel?.unref();
