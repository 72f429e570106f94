import { once } from 'node:events';
import { request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { mapLines, setupLines, unmapLines } from '../support/lines.ts';
import { type Row, row } from '../support/row.ts';
import { Target } from '../support/target.ts';
import { inTurns } from '../support/turns.ts';

const ROUNDS = 21;
const WARM_UP = 3;
const PAGES = 1000;
const REPEATS = 20;

/** Lines a second of a batch, against JSON.parse and JSON.stringify of the same lines. */
export async function batch(): Promise<Row[]> {
  const service = await Target.start('service');
  await service.calls(setupLines());
  const lines = [...mapLines(PAGES), ...unmapLines(PAGES)];
  const body = Buffer.from(`${lines.join('\n')}\n`.repeat(REPEATS));
  const count = lines.length * REPEATS;
  const { one, other } = await inTurns(
    ROUNDS,
    WARM_UP,
    async () => count / (await seconds(() => post(service.port, body))),
    async () => count / (await seconds(() => reprint(lines, REPEATS))),
  );
  await service.stop();
  return [
    row('batch, of JSON.parse + JSON.stringify of the same lines', 'lines/s', one, other, { atLeast: 0.5 }),
  ];
}

async function seconds(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

async function post(port: number, body: Buffer): Promise<void> {
  const headers = { 'content-type': 'application/x-ndjson', 'content-length': body.length };
  const req = request({ port, host: '127.0.0.1', path: '/v1/batch', method: 'POST', headers });
  req.end(body);
  const [response] = await once(req, 'response');
  for await (const _chunk of response);
}

function reprint(lines: readonly string[], times: number): void {
  for (let i = 0; i < times; i++) for (const line of lines) JSON.stringify(JSON.parse(line));
}
