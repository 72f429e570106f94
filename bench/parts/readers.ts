import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setupLines } from '../support/lines.ts';
import { Clients } from '../support/load.ts';
import { type Row, row } from '../support/row.ts';
import { Target } from '../support/target.ts';
import { inTurns } from '../support/turns.ts';

const READERS = 100;
const CONNECTIONS = 32;
const ROUND_MS = 500;
const ROUNDS = 21;
const WARM_UP = 1;

/** Requests a second of a service whose events a hundred read, against one whose events nobody reads. */
export async function readers(): Promise<Row[]> {
  const [read, quiet] = [await Target.start('service'), await Target.start('service')];
  const program = fileURLToPath(new URL('../support/event-readers.js', import.meta.url));
  await read.calls(setupLines());
  await quiet.calls(setupLines());
  const reading = fork(program, [String(read.port), String(READERS)]);
  await once(reading, 'message');
  const clients = {
    read: await Clients.open(read.port, CONNECTIONS),
    quiet: await Clients.open(quiet.port, CONNECTIONS),
  };
  await clients.quiet.warmUp();
  await clients.read.warmUp();
  const { one, other } = await inTurns(
    ROUNDS,
    WARM_UP,
    async () => (await clients.read.run(ROUND_MS)).perSecond,
    async () => (await clients.quiet.run(ROUND_MS)).perSecond,
  );
  clients.read.close();
  clients.quiet.close();
  reading.disconnect();
  await read.stop();
  await quiet.stop();
  return [row(`${READERS} readers of events, of none`, 'requests/s', one, other, { atLeast: 0.7 })];
}
