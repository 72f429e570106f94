import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { Service } from '../src/service.ts';

/** Whether the service is alive and ready, and which version it is. */
export function statusRoutes(app: FastifyInstance, service: Service): void {
  const tags = ['status'];
  app.get(
    '/health',
    {
      schema: {
        tags,
        summary: 'alive',
        description: 'For liveness probes: it answers as long as the process does.',
        response: { 200: Type.Object({ status: Type.String() }) },
      },
    },
    () => ({ status: 'ok' }),
  );
  app.get(
    '/ready',
    {
      schema: {
        tags,
        summary: 'ready for calls',
        description: 'For readiness probes.',
        response: { 200: Type.Object({ ready: Type.Boolean() }) },
      },
    },
    () => ({ ready: true }),
  );
  app.get(
    '/version',
    {
      schema: {
        tags,
        summary: 'version',
        description: 'Name and version of the service, and the kernel of rigs that ask for no other.',
        response: {
          200: Type.Object({ name: Type.String(), version: Type.String(), kernel: Type.String() }),
        },
      },
    },
    () => service.version(),
  );
}
