import { type Static, type TObject, type TProperties, Type } from '@sinclair/typebox';
import { containerCalls } from './calls/container.ts';
import { deviceCalls } from './calls/device.ts';
import { hostCalls } from './calls/host.ts';
import { pinCalls } from './calls/pins.ts';
import { processCalls } from './calls/process.ts';
import { TraceSchema } from './scenario.ts';
import { closedObject, Guest, Id } from './values.ts';

/** Most items of one list of a setup. */
const ITEMS_MAX = 100_000;

const listOf = <T extends TObject>(item: T, what: string) =>
  Type.Optional(
    Type.Array(item, { maxItems: ITEMS_MAX, description: `an array of at most ${ITEMS_MAX} ${what}` }),
  );

/** The arguments of a call that makes something, and what is made in it. */
const made = <A extends TProperties, P extends TProperties>({ args }: { args: TObject<A> }, more: P) =>
  closedObject({ ...args.properties, ...more });

const Process = made(processCalls['create-process'], {
  memlock: Type.Optional(processCalls['set-memlock'].args.properties.bytes),
  regions: listOf(processCalls['add-memory-region'].args, 'memory regions'),
  fill: listOf(processCalls['fill-memory'].args, 'ranges that are filled'),
  write: listOf(processCalls['write-memory'].args, 'ranges that are written'),
});

const Container = made(containerCalls['open-container'], {
  type: Type.Optional(containerCalls['set-iommu'].args.properties.type),
  mappings: listOf(containerCalls['map-dma'].args, 'mappings'),
  dirtyTracking: Type.Optional(Type.Literal(true, { description: 'true' })),
});

const Device = made(deviceCalls['create-device'], {
  container: Type.Optional(Id),
  guest: Type.Optional(Guest),
  pins: listOf(pinCalls['pin-pages'].args, 'pins'),
});

/**
 * A rig as it is to be. Each field is an argument of the call that makes it: a process with its memory, a container with
 * its IOMMU type (`type1v2` unless it says otherwise) and mappings, a device with its driver, the container it is
 * attached to and opened in, and its pins.
 */
export const RigSetup = Type.Object(
  {
    kernel: Type.Optional(Type.String({ maxLength: 16, description: 'a kernel version' })),
    parameters: Type.Optional(hostCalls['set-parameters'].args),
    processes: listOf(Process, 'processes'),
    containers: listOf(Container, 'containers'),
    devices: listOf(Device, 'devices'),
    faults: listOf(hostCalls['add-fault'].args, 'faults'),
  },
  { additionalProperties: false, title: 'Setup' },
);
export type RigSetup = Static<typeof RigSetup>;

/** What a rig can be set up from: a setup, or a trace whose steps come to what they expect. */
export const SetupBody = Type.Union([RigSetup, ...TraceSchema.anyOf], {
  description: 'a setup (kernel, parameters, processes, containers, devices, faults), or a trace',
});
export type SetupBody = Static<typeof SetupBody>;

/** What was set up: the ids, in the order in which they were made. */
export const SetupView = Type.Object(
  {
    rig: Type.String(),
    kernel: Type.String(),
    calls: Type.Integer({ description: 'how many calls it took' }),
    processes: Type.Array(Type.String(), { description: 'p0 is always there' }),
    containers: Type.Array(Type.String()),
    devices: Type.Array(
      Type.Object({
        device: Type.String(),
        group: Type.String(),
        container: Type.Union([Type.String(), Type.Null()]),
      }),
    ),
    faults: Type.Array(Type.String()),
  },
  { title: 'SetupAnswer' },
);
export type SetupView = Static<typeof SetupView>;
