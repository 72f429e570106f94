import type { CallObject } from '../../schemas/calls.ts';
import type { RigSetup } from '../../schemas/setup.ts';

/** A call of a setup, and the place in the setup that it is for. */
interface SetupCall {
  readonly call: CallObject;
  readonly where: string;
}

/** The ids that an answer names. */
export type Ids = Readonly<Record<string, unknown>>;

/** The calls that make a rig, in order; each is resumed with what it was answered. */
export type SetupCalls = Generator<SetupCall, void, Ids>;

/** A group that is open in a container. */
interface Attached {
  readonly container: string;
  readonly group: string;
}

/**
 * The calls of a setup: parameters, processes, containers, devices (each attached and opened where it says so), then
 * mappings, pins and faults.
 */
export function* callsOf(setup: RigSetup): SetupCalls {
  const { parameters, processes = [], containers = [], devices = [], faults = [] } = setup;
  if (parameters) yield { call: { call: 'set-parameters', ...parameters }, where: 'parameters' };
  for (const [i, process] of processes.entries()) yield* makeProcess(process, `processes/${i}`);
  const opened: string[] = [];
  for (const [i, { container, process }] of containers.entries()) {
    const args = { ...given({ container }), ...given({ process }) };
    const answer = yield { call: { call: 'open-container', ...args }, where: `containers/${i}` };
    opened.push(String(answer.container));
  }
  const attached: Attached[] = [];
  const made: string[] = [];
  for (const [i, device] of devices.entries()) {
    made.push(yield* makeDevice(device, typeOf(setup, opened, device.container), attached, `devices/${i}`));
  }
  for (const [i, { type, mappings = [], dirtyTracking }] of containers.entries()) {
    const container = opened[i]!;
    const where = `containers/${i}`;
    // A container without a group has no IOMMU: the kernel says so.
    if (type !== undefined && !attached.some((one) => one.container === container)) {
      yield { call: { call: 'set-iommu', container, type }, where: `${where}/type` };
    }
    for (const [j, mapping] of mappings.entries()) {
      yield { call: { call: 'map-dma', container, ...mapping }, where: `${where}/mappings/${j}` };
    }
    if (dirtyTracking) yield { call: { call: 'dirty-start', container }, where: `${where}/dirtyTracking` };
  }
  for (const [i, { pins = [] }] of devices.entries()) {
    for (const [j, pin] of pins.entries()) {
      yield { call: { call: 'pin-pages', device: made[i], ...pin }, where: `devices/${i}/pins/${j}` };
    }
  }
  for (const [i, fault] of faults.entries()) {
    yield { call: { call: 'add-fault', ...fault }, where: `faults/${i}` };
  }
}

function* makeProcess(given: NonNullable<RigSetup['processes']>[number], where: string): SetupCalls {
  const { memlock, regions = [], fill = [], write = [], ...args } = given;
  // p0 is there already: naming it means that one.
  const process =
    args.process === 'p0' ? 'p0' : (yield { call: { call: 'create-process', ...args }, where }).process;
  for (const [i, region] of regions.entries()) {
    yield { call: { call: 'add-memory-region', process, ...region }, where: `${where}/regions/${i}` };
  }
  for (const [i, range] of fill.entries()) {
    yield { call: { call: 'fill-memory', process, ...range }, where: `${where}/fill/${i}` };
  }
  for (const [i, range] of write.entries()) {
    yield { call: { call: 'write-memory', process, ...range }, where: `${where}/write/${i}` };
  }
  if (memlock !== undefined) {
    yield { call: { call: 'set-memlock', process, bytes: memlock }, where: `${where}/memlock` };
  }
}

/** Makes a device, and attaches and opens it; its id. A group that another device has brought in is there already. */
function* makeDevice(
  given: NonNullable<RigSetup['devices']>[number],
  type: string | number,
  attached: Attached[],
  where: string,
): Generator<SetupCall, string, Ids> {
  const { container, guest, pins: _pins, ...args } = given;
  const answer = yield { call: { call: 'create-device', ...args }, where };
  const device = String(answer.device);
  if (container === undefined) return device;
  const at = `${where}/container`;
  const group = String(answer.group);
  if (!attached.some((one) => one.container === container && one.group === group)) {
    yield { call: { call: 'open-group', device }, where: at };
    yield { call: { call: 'set-container', device, container }, where: at };
    if (!attached.some((one) => one.container === container)) {
      yield { call: { call: 'set-iommu', container, type }, where: at };
    }
    attached.push({ container, group });
  }
  if (guest !== undefined) yield { call: { call: 'ap-set-guest', device, guest }, where: `${where}/guest` };
  yield { call: { call: 'open-device', device }, where: at };
  return device;
}

/** The IOMMU type that a container of the setup asks for. */
function typeOf({ containers = [] }: RigSetup, opened: readonly string[], container: string | undefined) {
  const at = container === undefined ? -1 : opened.indexOf(container);
  return containers[at]?.type ?? 'type1v2';
}

/** An argument that is there, or nothing. */
function given(argument: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(argument).filter((entry) => entry[1] !== undefined)) as Record<
    string,
    string
  >;
}
