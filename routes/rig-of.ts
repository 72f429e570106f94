import type { FastifyRequest } from 'fastify';
import type { Rig } from '../src/rig/rig.ts';
import type { Service } from '../src/service.ts';
import { headerOf } from './headers.ts';

/** Methods that make no rig: what they are about can only be in one that is there. */
const LOOKS = new Set(['GET', 'HEAD', 'DELETE']);

/** Shows something of the rig a request is for, between two of its calls: long work of its kernel is waited for. */
export async function showing<T>(
  service: Service,
  request: FastifyRequest,
  show: (rig: Rig) => T,
): Promise<T> {
  const rig = rigOf(service, request);
  while (rig.host.machine.turns.isBusy) await rig.host.machine.turns.idle();
  return show(rig);
}

/** The rig a request is for: the one its X-Rig header names, or the default one. */
export function rigOf(service: Service, request: FastifyRequest): Rig {
  return service.rigOf(headerOf(request, 'x-rig'), !LOOKS.has(request.method));
}
