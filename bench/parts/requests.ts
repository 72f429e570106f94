import { median } from '../support/figures.ts';
import { setupLines } from '../support/lines.ts';
import { Clients, type Load } from '../support/load.ts';
import { type Row, row } from '../support/row.ts';
import { Target } from '../support/target.ts';
import { inTurns } from '../support/turns.ts';

/** Keep-alive connections, each with one request under way. */
const CONNECTIONS = 32;
const ROUND_MS = 500;
const ROUNDS = 21;
const WARM_UP = 1;
/** Below this share of its time a server was not what limited the figure. */
const BUSY = 0.9;

/** map-dma and unmap-dma, a request each, against a bare route with the same validation and answers. */
export async function requests(): Promise<Row[]> {
  const [service, bare] = [await Target.start('service'), await Target.start('bare')];
  await service.calls(setupLines());
  const clients = {
    service: await Clients.open(service.port, CONNECTIONS),
    bare: await Clients.open(bare.port, CONNECTIONS),
  };
  for (const name of ['bare', 'service'] as const) await clients[name].warmUp();
  const loads = { service: [] as Load[], bare: [] as Load[] };
  const cpu = { service: [] as number[], bare: [] as number[] };
  const busy: number[] = [];
  const round = async (name: 'service' | 'bare') => {
    const target = name === 'service' ? service : bare;
    await target.ask('use');
    const load = await clients[name].run(ROUND_MS);
    const used = await target.ask('use');
    loads[name].push(load);
    cpu[name].push(used.cpuUs / ((load.perSecond * ROUND_MS) / 1000));
    if (name === 'bare') busy.push(used.busy);
    return load.perSecond;
  };
  const { one, other } = await inTurns(
    ROUNDS,
    WARM_UP,
    () => round('service'),
    () => round('bare'),
  );
  for (const name of ['service', 'bare'] as const) clients[name].close();
  await service.stop();
  await bare.stop();
  const p99 = (name: 'service' | 'bare') => loads[name].slice(WARM_UP).map((load) => load.p99);
  const note = median(busy) < BUSY ? ' (the client limits the bare one: too good)' : '';
  return [
    row(`one call a request, of a bare Fastify route${note}`, '/s', one, other, { atLeast: 0.85 }),
    row('  its p99', 'ms', p99('service'), p99('bare'), { atMost: 1.2 }, 2),
    row(
      '  processor time a request',
      'us',
      cpu.service.slice(WARM_UP),
      cpu.bare.slice(WARM_UP),
      { atMost: 1.18 },
      1,
    ),
  ];
}
