/** Loaded into a service that is attacked: measures the turns of its event loop, and tells when it is asked. */

/** Between two looks, milliseconds. */
const LOOK_MS = 5;

let longest = 0;
let stalls = 0;
let wall = performance.now();
let cpu = process.cpuUsage();
/** A turn that lasts longer counts as a stall, milliseconds. */
const STALL_MS = 50;

/**
 * A turn lasts as long as the process was at work in it: on a machine with other work the time on the wall says nothing
 * about this process.
 */
const look = setInterval(() => {
  const now = performance.now();
  const used = process.cpuUsage(cpu);
  const turn = Math.min(now - wall - LOOK_MS, (used.user + used.system) / 1000);
  if (turn > longest) longest = turn;
  if (turn > STALL_MS) {
    stalls++;
    process.send!({ stallMs: Math.round(turn) });
  }
  wall = now;
  cpu = process.cpuUsage();
}, LOOK_MS);
look.unref();

process.on('message', (message: { forget?: boolean }) => {
  const collect = (globalThis as { gc?: () => void }).gc;
  collect?.();
  const { rss, heapUsed } = process.memoryUsage();
  process.send!({ longestMs: Math.round(longest), stalls, rss, heapUsed });
  if (!message.forget) return;
  longest = 0;
  stalls = 0;
  // What the collection took is not the service's.
  wall = performance.now();
  cpu = process.cpuUsage();
});
process.channel?.unref();
