import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { flagNames, Id, PROT_FLAGS } from '../schemas/values.ts';
import type { Host } from '../src/host/host.ts';
import { hex, hexAddress } from '../src/kernel/pages.ts';
import { describePin } from '../src/kernel/type1/leftover-pins.ts';
import { describeContainer } from '../src/machine/calls/container.ts';
import { describeDevice } from '../src/machine/calls/device.ts';
import { describeProcess } from '../src/machine/calls/process.ts';
import type { Service } from '../src/service.ts';
import { PagingById, PagingByPosition, pageById, pageByPosition } from './query.ts';
import { LOOSE, PROBLEM_RESPONSE } from './reply.ts';
import { rigOf } from './rig-of.ts';

const ById = Type.Object(PagingById, { additionalProperties: false });
const ByPosition = Type.Object(PagingByPosition, { additionalProperties: false });

/** What exists: processes, containers with their mappings and pins, devices. */
export function resourceRoutes(app: FastifyInstance, service: Service): void {
  const list = <T>(name: string, tag: string, items: (host: Host) => Iterable<readonly [string, T]>) =>
    app.get<{ Querystring: Static<typeof ById> }>(
      `/v1/${name}`,
      {
        schema: {
          operationId: `list-${name}`,
          tags: [tag],
          summary: `list ${name}`,
          querystring: ById,
          response: { 200: LOOSE, '4xx': PROBLEM_RESPONSE },
        },
      },
      (request) => {
        const { page, ...rest } = pageById(items(rigOf(service, request).host), request.query);
        return { [name]: page, ...rest };
      },
    );
  list('processes', 'process', (host) => described(host.kernel.processes, describeProcess));
  list('containers', 'container', (host) => described(host.kernel.containers, describeContainer));
  list('devices', 'device', (host) => described(host.kernel.devices, describeDevice));

  const get = (name: string, tag: string, show: (host: Host, id: string) => object) =>
    app.get<{ Params: Record<string, string> }>(
      `/v1/${name}/:${tag}`,
      {
        schema: {
          operationId: `get-${tag}`,
          tags: [tag],
          summary: `one ${tag}`,
          params: Type.Object({ [tag]: Id }),
          response: { 200: LOOSE, '4xx': PROBLEM_RESPONSE },
        },
      },
      (request) => show(rigOf(service, request).host, request.params[tag]!),
    );
  get('processes', 'process', (host, id) => describeProcess(host.machine.process(id)));
  get('containers', 'container', (host, id) => describeContainer(host.machine.container(id)));
  get('devices', 'device', (host, id) => describeDevice(host.machine.device(id)));

  const within = <T>(name: string, items: (host: Host, id: string) => Iterable<T>) =>
    app.get<{ Params: { container: string }; Querystring: Static<typeof ByPosition> }>(
      `/v1/containers/:container/${name}`,
      {
        schema: {
          operationId: `list-${name}`,
          tags: ['container'],
          summary: `${name} of a container, by IOVA`,
          params: Type.Object({ container: Id }),
          querystring: ByPosition,
          response: { 200: LOOSE, '4xx': PROBLEM_RESPONSE },
        },
      },
      (request) => {
        const { page, ...rest } = pageByPosition(
          items(rigOf(service, request).host, request.params.container),
          request.query,
        );
        return { [name]: page, ...rest };
      },
    );
  within('mappings', mappingsOf);
  within('pins', pinsOf);
}

function* described<T, D>(items: ReadonlyMap<string, T>, describe: (item: T) => D): Generator<[string, D]> {
  for (const [id, item] of items) yield [id, describe(item)];
}

function* mappingsOf(host: Host, id: string): Generator<object> {
  const { iommu } = host.machine.container(id);
  if (!iommu) return;
  const { mappings, pins } = iommu;
  for (const slot of mappings.inOrder()) {
    let pinned = 0;
    for (const _ of pins.inOrder(mappings.pins[slot]!)) pinned++;
    yield {
      iova: hexAddress(mappings.iova[slot]!),
      size: hexAddress(mappings.size[slot]!),
      vaddr: hexAddress(mappings.vaddr[slot]!),
      prot: flagNames(mappings.prot[slot]!, PROT_FLAGS),
      vaddrInvalid: mappings.vaddrInvalid(slot),
      iommuMapped: mappings.iommuMapped(slot),
      pins: pinned,
    };
  }
}

function* pinsOf(host: Host, id: string): Generator<object> {
  const { iommu } = host.machine.container(id);
  if (!iommu) return;
  for (const slot of iommu.mappings.inOrder()) {
    for (const pin of iommu.pins.inOrder(iommu.mappings.pins[slot]!)) {
      const { iova, pfn, refCount, devices } = describePin(host.kernel, iommu, pin);
      yield { iova: hex(iova), pfn: `0x${pfn.toString(16)}`, refCount, devices };
    }
  }
}
