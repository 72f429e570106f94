import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { Service } from '../src/service.ts';

/** The service's metrics, for Prometheus. */
export function metricsRoutes(app: FastifyInstance, { metrics }: Service): void {
  app.addHook('onListen', async () => metrics.startDefaults());
  app.get(
    '/metrics',
    {
      schema: {
        tags: ['status'],
        operationId: 'metrics',
        summary: 'metrics as Prometheus text',
        description: 'Requests, calls, callbacks, splats and rigs as Prometheus text.',
        response: {
          200: { description: 'Prometheus text', content: { 'text/plain': { schema: Type.String() } } },
        },
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );
}
