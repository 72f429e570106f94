import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import Fastify, { type FastifyInstance } from 'fastify';
import { finishOpenApi } from '../routes/openapi.ts';
import { jsonLine } from '../routes/reply.ts';
import { VERSION } from './version.ts';

/**
 * The routes described: an app that serves `/openapi.json` and `/docs` and is never listened to. It is made when
 * somebody asks for the first time: describing every route takes as long as the rest of a start.
 *
 * @param addRoutes adds what is to be described
 */
export async function documentation(addRoutes: (app: FastifyInstance) => void): Promise<FastifyInstance> {
  const app = Fastify();
  // Nothing of what is described is ever asked for here.
  app.setValidatorCompiler(() => () => true);
  app.setReplySerializer(jsonLine);
  app.setSerializerCompiler(() => jsonLine);
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'vfio-host', description: 'An emulated Linux VFIO host', version: VERSION },
    },
    transformObject: (made) => finishOpenApi('openapiObject' in made ? { ...made.openapiObject } : {}),
  });
  await app.register(fastifySwaggerUi, { routePrefix: '/docs' });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  addRoutes(app);
  await app.ready();
  return app;
}
