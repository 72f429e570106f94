import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { Id } from '../schemas/values.ts';
import { describeContainer } from '../src/calls/container-calls.ts';
import { describeDevice } from '../src/calls/device-calls.ts';
import { describeProcess } from '../src/calls/process-calls.ts';
import { hex, hexAddress } from '../src/kernel/pages.ts';
import { describePin } from '../src/kernel/type1/leftover-pins.ts';
import type { Service } from '../src/service.ts';
import { PagingById, PagingByPosition, pageById, pageByPosition } from './query.ts';
import { PROBLEM_RESPONSE } from './reply.ts';

const ById = Type.Object(PagingById, { additionalProperties: false });
const ByPosition = Type.Object(PagingByPosition, { additionalProperties: false });

const Loose = Type.Object({}, { additionalProperties: true });

/** What exists: processes, containers with their mappings and pins, devices. */
export function resourceRoutes(app: FastifyInstance, service: Service): void {
  const list = <T>(name: string, tag: string, items: () => Iterable<readonly [string, T]>) =>
    app.get<{ Querystring: Static<typeof ById> }>(
      `/v1/${name}`,
      {
        schema: {
          operationId: `list-${name}`,
          tags: [tag],
          summary: `list ${name}`,
          querystring: ById,
          response: { 200: Loose, '4xx': PROBLEM_RESPONSE },
        },
      },
      (request) => {
        const { page, ...rest } = pageById(items(), request.query);
        return { [name]: page, ...rest };
      },
    );
  list('processes', 'process', () => described(service.host.kernel.processes, describeProcess));
  list('containers', 'container', () => described(service.host.kernel.containers, describeContainer));
  list('devices', 'device', () => described(service.host.kernel.devices, describeDevice));

  const get = (name: string, tag: string, show: (id: string) => object) =>
    app.get<{ Params: Record<string, string> }>(
      `/v1/${name}/:${tag}`,
      {
        schema: {
          operationId: `get-${tag}`,
          tags: [tag],
          summary: `one ${tag}`,
          params: Type.Object({ [tag]: Id }),
          response: { 200: Loose, '4xx': PROBLEM_RESPONSE },
        },
      },
      (request) => show(request.params[tag]!),
    );
  get('processes', 'process', (id) => describeProcess(service.host.machine.process(id)));
  get('containers', 'container', (id) => describeContainer(service.host.machine.container(id)));
  get('devices', 'device', (id) => describeDevice(service.host.machine.device(id)));

  const within = <T>(name: string, items: (id: string) => Iterable<T>) =>
    app.get<{ Params: { container: string }; Querystring: Static<typeof ByPosition> }>(
      `/v1/containers/:container/${name}`,
      {
        schema: {
          operationId: `list-${name}`,
          tags: ['container'],
          summary: `${name} of a container, by IOVA`,
          params: Type.Object({ container: Id }),
          querystring: ByPosition,
          response: { 200: Loose, '4xx': PROBLEM_RESPONSE },
        },
      },
      (request) => {
        const { page, ...rest } = pageByPosition(items(request.params.container), request.query);
        return { [name]: page, ...rest };
      },
    );
  within('mappings', (id) => mappingsOf(service, id));
  within('pins', (id) => pinsOf(service, id));
}

function* described<T, D>(items: ReadonlyMap<string, T>, describe: (item: T) => D): Generator<[string, D]> {
  for (const [id, item] of items) yield [id, describe(item)];
}

function* mappingsOf(service: Service, id: string): Generator<object> {
  const { iommu } = service.host.machine.container(id);
  if (!iommu) return;
  const { mappings, pins } = iommu;
  for (const slot of mappings.inOrder()) {
    let pinned = 0;
    for (const _ of pins.inOrder(mappings.pins[slot]!)) pinned++;
    const prot = mappings.prot[slot]!;
    yield {
      iova: hexAddress(mappings.iova[slot]!),
      size: hexAddress(mappings.size[slot]!),
      vaddr: hexAddress(mappings.vaddr[slot]!),
      prot: [...(prot & 1 ? ['read'] : []), ...(prot & 2 ? ['write'] : [])],
      vaddrInvalid: mappings.vaddrInvalid(slot),
      iommuMapped: mappings.iommuMapped(slot),
      pins: pinned,
    };
  }
}

function* pinsOf(service: Service, id: string): Generator<object> {
  const { iommu } = service.host.machine.container(id);
  if (!iommu) return;
  for (const slot of iommu.mappings.inOrder()) {
    for (const pin of iommu.pins.inOrder(iommu.mappings.pins[slot]!)) {
      const { iova, pfn, refCount, devices } = describePin(service.host.kernel, iommu, pin);
      yield { iova: hex(iova), pfn: `0x${pfn.toString(16)}`, refCount, devices };
    }
  }
}
