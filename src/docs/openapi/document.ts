import fastifySwagger from '@fastify/swagger';
import Fastify from 'fastify';
import { pino } from 'pino';
import { addRoutes } from '../../app.ts';
import { DEFAULT_CONFIG } from '../../config.ts';
import { Service } from '../../service.ts';
import { withExamples } from './examples.ts';
import { finishOpenApi } from './finish.ts';
import { FRAME } from './frame.ts';
import type { Json } from './json.ts';

/** The description of the HTTP API: made of the routes' schemas, with examples from calls that were really made. */
export async function openApiDocument(): Promise<Json> {
  const service = new Service(DEFAULT_CONFIG, { log: pino({ level: 'silent' }), panic() {} });
  const app = Fastify();
  try {
    // Nothing of what is described is ever asked for here.
    app.setValidatorCompiler(() => () => true);
    app.setSerializerCompiler(() => JSON.stringify);
    await app.register(fastifySwagger, {
      openapi: FRAME,
      transform: ({ schema, url, route }) => ({ schema: { ...schema, ...route.config?.describes }, url }),
    });
    addRoutes(app, service);
    await app.ready();
    return await withExamples(finishOpenApi(app.swagger() as unknown as Json));
  } finally {
    await app.close();
    await service.close();
  }
}
