import type { FastifyRequest } from 'fastify';
import type { Rig } from '../src/rig/rig.ts';
import type { Service } from '../src/service.ts';

/** Header that selects a rig. */
export const RIG_HEADER = 'x-rig';

/** The rig a request is for: the one its X-Rig header names, or the default one. */
export function rigOf(service: Service, request: FastifyRequest): Rig {
  return service.rigOf(request.headers[RIG_HEADER] as string | undefined);
}
