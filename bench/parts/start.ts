import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { type Row, row } from '../support/row.ts';
import { inTurns } from '../support/turns.ts';

const ROUNDS = 15;
const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const BARE = fileURLToPath(new URL('../support/bare-program.js', import.meta.url));

/** Milliseconds from the start of a program to its answer to GET /ready. */
async function start(args: readonly string[]): Promise<number> {
  const begin = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let port: string | undefined;
  for await (const text of child.stdout!.setEncoding('utf8')) {
    port = /ready at http:\/\/127\.0\.0\.1:(\d+)/.exec(String(text))?.[1];
    if (port !== undefined) break;
  }
  const [response] = await once(get(`http://127.0.0.1:${port}/ready`, { agent: false }), 'response');
  for await (const _chunk of response);
  const ms = performance.now() - begin;
  child.kill('SIGKILL');
  await once(child, 'exit');
  return ms;
}

/** From spawn to the first answer, of a bare Fastify server. */
export async function startUp(): Promise<Row[]> {
  const { one, other } = await inTurns(
    ROUNDS,
    1,
    () => start([MAIN, '--port', '0']),
    () => start([BARE]),
  );
  return [row('spawn to /ready, of a bare Fastify server', 'ms', one, other, { atMost: 1.5 })];
}
