import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Fuzzer } from './fuzzer.ts';

const HELP = `usage: npm run hostile -- [--requests COUNT] [--seed SEED] [--clients COUNT] [--stall MS]

Attacks a service on 127.0.0.1 that it starts itself: requests made from openapi.json, right and wrong, and raw sockets.
Fails at the first answer that must not be, when the service ends, when a turn of its event loop lasts longer than --stall
milliseconds without what the engine's collector takes of it (which is told too), or when its memory grows.
`;

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    clients: { type: 'string', default: '8' },
    stall: { type: 'string', default: '50' },
    help: { type: 'boolean' },
  },
});

/** The part of the requests after which memory is taken as what it stays. */
const WARM = 0.25;
/** By how much the heap may be larger at the end, bytes. */
const GROWTH_MAX = 32 * 1024 * 1024;

/** Between two lines that say how far it is, milliseconds. */
const TELL_MS = 60_000;
/** Stalls that are told of, the longest first. */
const STALLS_SHOWN = 20;

/** Errors that the service logged that are told. */
const LOGGED_SHOWN = 5;

interface Sample {
  longestMs: number;
  stalls: number;
  rss: number;
  heapUsed: number;
}

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

function sampleOf(service: ChildProcess, forget: boolean): Promise<Sample> {
  return new Promise((resolve) => {
    const take = (message: Partial<Sample>) => {
      if (message.longestMs === undefined) return;
      service.off('message', take);
      resolve(message as Sample);
    };
    service.on('message', take);
    service.send({ forget });
  });
}

async function main(): Promise<void> {
  const args = ['--expose-gc', '--import', file('./sampler.js'), file('../../src/main.js')];
  const settings = ['--port', '0', '--webhook-allow', '127.0.0.1'];
  const service = spawn(process.execPath, [...args, ...settings], {
    env: { NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const ended = once(service, 'exit').then(([code, signal]) => {
    throw new Error(`the service ended: ${code ?? signal}`);
  });
  ended.catch(() => {});
  const logged: string[] = [];
  const port = new Promise<number>((resolve) => {
    createInterface({ input: service.stdout! }).on('line', (line) => {
      const said = JSON.parse(line) as { port?: number; err?: object; level?: number };
      if (said.port !== undefined) resolve(said.port);
      else if (said.err !== undefined) logged.push(line);
    });
  });
  try {
    await Promise.race([attack(service, port, logged), ended]);
  } catch (error) {
    for (const line of logged.slice(0, LOGGED_SHOWN)) console.error(line);
    throw error;
  } finally {
    service.kill('SIGKILL');
  }
}

async function attack(
  service: ChildProcess,
  port: Promise<number>,
  logged: readonly string[],
): Promise<void> {
  const [count, clients, stall] = [Number(values.requests), Number(values.clients), Number(values.stall)];
  const openapi = file('../../../openapi.json');
  const began = Date.now();
  const warm = new Fuzzer(await port, Number(values.seed), Math.ceil(count * WARM), openapi);
  let fuzzer = warm;
  const told = () => warm.report.requests + (fuzzer === warm ? 0 : fuzzer.report.requests);
  setInterval(() => console.log(`${told()} requests`), TELL_MS).unref();
  await warm.touch();
  await sampleOf(service, true);
  const stalls: { ms: number; suspects: string[] }[] = [];
  service.on('message', ({ stallMs }: { stallMs?: number }) => {
    if (stallMs !== undefined) stalls.push({ ms: stallMs, suspects: fuzzer.suspects() });
  });
  await warm.run(clients);
  await warm.endRigs();
  const before = await sampleOf(service, true);

  const rest = new Fuzzer(await port, Number(values.seed) + 1, Math.floor(count * (1 - WARM)), openapi);
  fuzzer = rest;
  await rest.run(clients);
  await rest.endRigs();
  const after = await sampleOf(service, false);
  const seconds = (Date.now() - began) / 1000;
  console.log(
    JSON.stringify({ seconds, warm: warm.report, rest: rest.report, before, after, logged: logged.length }),
  );
  if (logged.length > 0) throw new Error(`errors were logged, the first of them: ${logged[0]}`);
  const longest = Math.max(before.longestMs, after.longestMs);
  const grown = after.heapUsed - before.heapUsed;
  if (grown > GROWTH_MAX) throw new Error(`the heap has grown by ${grown} bytes`);
  stalls.sort((a, b) => b.ms - a.ms);
  for (const { ms, suspects } of stalls.slice(0, STALLS_SHOWN))
    console.log(`${ms} ms: ${suspects.join(' | ')}`);
  if (longest > stall) throw new Error(`a turn of the event loop lasted ${longest} ms`);
}

if (values.help) console.log(HELP);
else {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
