import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { median, number } from '../support/figures.ts';
import type { Row } from '../support/row.ts';

const ROUNDS = 9;
const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const BARE = fileURLToPath(new URL('../support/bare-server.js', import.meta.url));

/** Milliseconds from the start of a program to the line with which it says that it listens. */
async function start(args: readonly string[]): Promise<number> {
  const begin = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const text of child.stdout!.setEncoding('utf8')) if (String(text).includes('ready at')) break;
  const ms = performance.now() - begin;
  child.kill('SIGKILL');
  await once(child, 'exit');
  return ms;
}

/** From spawn to the first line that says it is ready, of a bare Fastify server. */
export async function startUp(): Promise<Row> {
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await start([MAIN, '--port', '0']));
    bare.push(await start([BARE]));
  }
  return {
    what: 'spawn to ready, of a bare Fastify server',
    figure: `${number(median(ours))} ms`,
    limit: `${number(median(bare))} ms`,
    ratios: ours.map((each, i) => each / bare[i]!),
    goal: 1.5,
    below: true,
  };
}
