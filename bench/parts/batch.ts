import { once } from 'node:events';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { pino } from 'pino';
import { buildApp } from '../../src/app.ts';
import { DEFAULT_CONFIG } from '../../src/config.ts';
import { Service } from '../../src/service.ts';
import { median, number } from '../support/figures.ts';
import { mapAndUnmapLines, SETUP } from '../support/lines.ts';
import type { Row } from '../support/row.ts';

const ROUNDS = 11;
const PAGES = 1000;
const REPEATS = 20;

/** Lines a second of a batch, against JSON.parse and JSON.stringify of the same lines. */
export async function batch(): Promise<Row> {
  const log = pino({ level: 'silent' });
  const service = new Service(DEFAULT_CONFIG, { log, panic: () => undefined });
  const app = await buildApp(service, log);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  for (const call of SETUP) service.rigs.use('default').host.start(call);
  const lines = mapAndUnmapLines(PAGES);
  const body = Buffer.from(`${lines.join('\n')}\n`.repeat(REPEATS));
  const count = lines.length * REPEATS;
  const ours: number[] = [];
  const json: number[] = [];
  for (let round = 0; round < ROUNDS + 2; round++) {
    ours.push(count / (await seconds(() => post(port, body))));
    json.push(count / (await seconds(() => reprint(lines, REPEATS))));
  }
  await app.close();
  const ratios = ours.map((each, i) => each / json[i]!).slice(2);
  return {
    what: 'batch, client and server in one process, of JSON.parse + JSON.stringify of the same lines',
    figure: `${number(median(ours))} lines/s`,
    limit: `${number(median(json))} lines/s`,
    ratios,
    goal: 0.5,
    below: false,
  };
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
