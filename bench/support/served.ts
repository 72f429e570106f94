import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { type TSchema, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import Fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { CALLS } from '../../schemas/calls.ts';
import { Id } from '../../schemas/values.ts';
import { buildApp } from '../../src/app.ts';
import { DEFAULT_CONFIG } from '../../src/config.ts';
import { Service } from '../../src/service.ts';
import { Stalls } from './stalls.ts';
import type { Asked, Told } from './target.ts';

/** A server in a process of its own: it says its port, and what it used whenever it is asked. */

/** The service as `npm start` configures it. */
function service(): Promise<FastifyInstance> {
  const log = pino({ level: DEFAULT_CONFIG.logLevel });
  return buildApp(new Service(DEFAULT_CONFIG, { log, panic: () => process.exit(70) }), log);
}

/** Two of its routes, validated by the same schemas through the same compiler, that do nothing. */
function bare(): FastifyInstance {
  const app = Fastify();
  app.setValidatorCompiler<TSchema>(({ schema }) => {
    const compiled = TypeCompiler.Compile(schema);
    return (value: unknown) => (compiled.Check(value) ? { value } : { error: new Error('not valid') });
  });
  const params = Type.Object({ container: Id });
  app.post<{ Body: { iova: string; size: string } }>(
    '/v1/containers/:container/map-dma',
    { schema: { params, body: CALLS['map-dma'].args } },
    ({ body }, reply) => reply.send({ iova: body.iova, size: body.size }),
  );
  app.post<{ Body: { size: string } }>(
    '/v1/containers/:container/unmap-dma',
    { schema: { params, body: CALLS['unmap-dma'].args } },
    ({ body }, reply) => reply.send({ size: body.size, invalidations: [] }),
  );
  return app;
}

/** A driver that gives its page back in the eleventh round. */
function driver(): FastifyInstance {
  const app = Fastify();
  app.post<{ Body: { attempt?: number; iova?: string } }>('/', ({ body: { attempt, iova } }) =>
    attempt === 11 ? { unpin: [{ iova, npage: 1 }] } : {},
  );
  return app;
}

const SERVERS = { service, bare, driver };

async function main(name: keyof typeof SERVERS): Promise<void> {
  const app = await SERVERS[name]();
  await app.listen({ port: 0, host: '127.0.0.1' });
  const tell = (told: Told) => process.send!(told);
  const stalls = new Stalls();
  let cpu = process.cpuUsage();
  let loop = performance.eventLoopUtilization();
  process.on('message', async (asked: Asked) => {
    if (asked === 'watch') await stalls.watch();
    const longest = asked === 'stall' ? await stalls.longest() : null;
    const { user, system } = process.cpuUsage(cpu);
    const { utilization } = performance.eventLoopUtilization(loop);
    tell({ cpuUs: user + system, busy: utilization, stallMs: longest?.ms ?? 0, gcMs: longest?.gcMs ?? 0 });
    cpu = process.cpuUsage();
    loop = performance.eventLoopUtilization();
  });
  process.on('disconnect', () => process.exit(0));
  process.send!((app.server.address() as AddressInfo).port);
}

await main(process.argv[2] as keyof typeof SERVERS);
