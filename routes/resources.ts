import { type Static, type TSchema, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { closedObject, Id } from '../schemas/values.ts';
import {
  ContainerView,
  DeviceView,
  MappingView,
  ModelsView,
  PinView,
  ProcessView,
  pageOf,
} from '../schemas/views.ts';
import type { Host } from '../src/host/host.ts';
import { type Underway, underwayOf } from '../src/host/underway.ts';
import { isSmall } from '../src/json/pieces.ts';
import type { Container } from '../src/kernel/vfio/container.ts';
import type { Device } from '../src/kernel/vfio/device.ts';
import type { Service } from '../src/service.ts';
import { describeContainer, mappingsOf, pinsOf } from '../src/views/container.ts';
import { describeDevice } from '../src/views/device.ts';
import { describeModels } from '../src/views/models.ts';
import { describeProcess } from '../src/views/process.ts';
import { asWritten, lineOf } from './pieces.ts';
import { PagingById, PagingByPosition, pageById, pageByPosition } from './query.ts';
import { PROBLEM_RESPONSE } from './reply.ts';
import { showing } from './rig-of.ts';
import { heldFor, sendHeld } from './work.ts';

const ById = closedObject(PagingById);
const ByPosition = closedObject(PagingByPosition);

/** What exists: processes, containers with their mappings and pins, devices. */
export function resourceRoutes(app: FastifyInstance, service: Service): void {
  /** What is long is made as it is written: the machine stays as it is until all is. */
  const shown = <T>(reply: FastifyReply, host: Host, answer: T) =>
    isSmall(answer) ? answer : sendHeld(service, reply, host, () => lineOf(answer));
  const list = <S extends TSchema>(
    name: string,
    tag: string,
    view: S,
    items: (host: Host) => Iterable<readonly [string, () => Static<S>]>,
  ) =>
    app.get<{ Querystring: Static<typeof ById> }>(
      `/v1/${name}`,
      {
        schema: {
          operationId: `list-${name}`,
          tags: [tag],
          summary: `list ${name}`,
          description: `The ${name} of the rig in the order in which they were made, a page at a time.`,
          querystring: ById,
          response: { 200: pageOf(name, view), '4xx': PROBLEM_RESPONSE },
        },
      },
      (request, reply) =>
        showing(service, request, ({ host }) => {
          const { page, ...rest } = pageById(items(host), request.query);
          return shown(reply, host, { [name]: page.map((describe) => describe()), ...rest });
        }),
    );
  list('processes', 'process', ProcessView, (host) =>
    described(host.kernel.processes, (process) => describeProcess(process, asWritten)),
  );
  list('containers', 'container', ContainerView, (host) => {
    const underway = underwayOf(host.waiting);
    return described(host.kernel.containers, (container) => shownContainer(container, underway));
  });
  list('devices', 'device', DeviceView, (host) => {
    const underway = underwayOf(host.waiting);
    return described(host.kernel.devices, (device) => shownDevice(device, underway));
  });

  const get = <S extends TSchema>(
    name: string,
    tag: string,
    view: S,
    show: (host: Host, id: string) => Static<S>,
  ) =>
    app.get<{ Params: Record<string, string> }>(
      `/v1/${name}/:${tag}`,
      {
        schema: {
          operationId: `get-${tag}`,
          tags: [tag],
          summary: `one ${tag}`,
          description: `A ${tag} as it is now.`,
          params: Type.Object({ [tag]: Id }),
          response: { 200: view, '4xx': PROBLEM_RESPONSE },
        },
      },
      (request, reply) =>
        showing(service, request, ({ host }) => shown(reply, host, show(host, request.params[tag]!))),
    );
  get('processes', 'process', ProcessView, (host, id) =>
    describeProcess(host.machine.process(id), asWritten),
  );
  get('containers', 'container', ContainerView, (host, id) =>
    shownContainer(host.machine.container(id), underwayOf(host.waiting)),
  );
  get('devices', 'device', DeviceView, (host, id) =>
    shownDevice(host.machine.device(id), underwayOf(host.waiting)),
  );

  app.get(
    '/v1/models',
    {
      schema: {
        operationId: 'get-models',
        tags: ['device'],
        summary: 'what driver models keep besides their devices',
        description: 'Guests, queues and the like, by the type of the model.',
        response: { 200: ModelsView, '4xx': PROBLEM_RESPONSE },
      },
    },
    (request) => showing(service, request, ({ host }) => describeModels(host.kernel)),
  );

  const within = <S extends TSchema>(
    name: string,
    view: S,
    items: (container: Container, skip: number, count: number) => Generator<void, Static<S>[]>,
  ) =>
    app.get<{ Params: { container: string }; Querystring: Static<typeof ByPosition> }>(
      `/v1/containers/:container/${name}`,
      {
        schema: {
          operationId: `list-${name}`,
          tags: ['container'],
          summary: `${name} of a container, by IOVA`,
          description: `A page of the container’s ${name}; each page is as of its own moment.`,
          params: Type.Object({ container: Id }),
          querystring: ByPosition,
          response: { 200: pageOf(name, view), '4xx': PROBLEM_RESPONSE },
        },
      },
      (request, reply) =>
        showing(service, request, ({ host }) => {
          const container = host.machine.container(request.params.container);
          const all = (skip: number, count: number) => items(container, skip, count);
          return heldFor(service, reply, host, async (work) => {
            const { page, ...rest } = await work.do(pageByPosition(all, request.query));
            return { [name]: page, ...rest };
          });
        }),
    );
  within('mappings', MappingView, mappingsOf);
  within('pins', PinView, pinsOf);
}

/** A container with the calls on it that are under way. */
function shownContainer(container: Container, underway: readonly Underway[]): Static<typeof ContainerView> {
  const shown = describeContainer(container);
  const calls = underway.filter((one) => one.container === container.id).map(({ view }) => view);
  return calls.length === 0 ? shown : { ...shown, underway: calls };
}

/** A device with the callback of its driver that has not returned. */
function shownDevice(device: Device, underway: readonly Underway[]): Static<typeof DeviceView> {
  const shown = describeDevice(device);
  for (const { view } of underway) {
    const { callback, seq } = view;
    if (callback?.device === device.id) return { ...shown, callback: { ...callback, of: seq } };
  }
  return shown;
}

/** Items with what describes them: those of other pages are not described. */
function* described<T, D>(
  items: ReadonlyMap<string, T>,
  describe: (item: T) => D,
): Generator<[string, () => D]> {
  for (const [id, item] of items) yield [id, () => describe(item)];
}
