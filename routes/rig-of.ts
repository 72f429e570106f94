import type { FastifyRequest } from 'fastify';
import type { Rig } from '../src/rig/rig.ts';
import type { Service } from '../src/service.ts';

/** Header that selects a rig. */
export const RIG_HEADER = 'x-rig';

/** Methods that make no rig: what they are about can only be in one that is there. */
const LOOKS = new Set(['GET', 'HEAD', 'DELETE']);

/** The rig a request is for: the one its X-Rig header names, or the default one. */
export function rigOf(service: Service, request: FastifyRequest): Rig {
  return service.rigOf(request.headers[RIG_HEADER] as string | undefined, !LOOKS.has(request.method));
}
