import type { CallObject } from '../../schemas/calls.ts';
import type { Driver } from '../../schemas/drivers/index.ts';
import type { AlsoName } from '../../schemas/explore.ts';
import type { Generation } from '../kernel/generations/index.ts';
import { ALSO } from './also.ts';
import { CONTAINER, Pages } from './pages.ts';
import { externalPart } from './parts/external.ts';
import { gvtGPart } from './parts/gvt-g.ts';
import type { Actor, Part } from './parts/part.ts';
import { syntheticPart } from './parts/synthetic.ts';
import { vfioApPart } from './parts/vfio-ap.ts';
import { vfioCcwPart } from './parts/vfio-ccw.ts';
import type { Action, Scene } from './scene.ts';

/** A driver that nothing but open and close happens to. */
const IDLE: Part = { areAlike: true, actions: () => [] };

/** What driver models bring into a scene; one that brings nothing is opened and closed. */
const PARTS: Readonly<Partial<Record<Driver['type'], Part>>> = {
  synthetic: syntheticPart,
  manual: externalPart,
  webhook: externalPart,
  'vfio-ap': vfioApPart,
  'vfio-ccw': vfioCcwPart,
  'gvt-g': gvtGPart,
};

/** Calls under way at once: an unmap in a callback, and two that run beside it. */
const UNDERWAY = 3;

/** What a scene is made of. */
interface SceneOptions {
  readonly drivers: readonly Driver[];
  /** Pages that calls name; with a driver that has larger ones, ranges of so many. */
  readonly pages: number;
  /** Mappings that there may be at once. */
  readonly mappings: number;
  /** The type of the container's IOMMU, where not type1v2. */
  readonly iommu?: string;
  /** Kinds of calls that may be made besides. */
  readonly also?: readonly AlsoName[];
}

/**
 * The scene of a container with a device of each of these drivers, all open: what may happen is open and close of each
 * device and its group's leaving the container, mapping and unmapping, and what each driver model brings.
 */
export function sceneOf(gen: Generation, options: SceneOptions): Scene {
  const parts = options.drivers.map(({ type }) => PARTS[type] ?? IDLE);
  const pages = new Pages(options.pages, Math.max(...parts.map(({ rangeSize = 1 }) => rangeSize)));
  const actors: Actor[] = options.drivers.map((asked, number) => {
    const driver = parts[number]!.configure?.(asked, number) ?? asked;
    return { device: `d${number}`, number, driver, gen, pages };
  });
  const prepared = new Set<Part>();
  const setup: CallObject[] = [{ call: 'open-container', container: CONTAINER }];
  for (const { device, driver, number } of actors) {
    setup.push(
      { call: 'create-device', device, driver },
      { call: 'open-group', device },
      { call: 'set-container', device, container: CONTAINER },
    );
    if (number === 0) {
      setup.push({ call: 'set-iommu', container: CONTAINER, type: options.iommu ?? 'type1v2' });
    }
    setup.push({ call: 'open-device', device });
  }
  for (const [i, actor] of actors.entries()) {
    const part = parts[i]!;
    if (!prepared.has(part)) setup.push(...(part.prepare?.(actor) ?? []));
    prepared.add(part);
  }
  const also = (options.also ?? []).map((name) => ALSO[name]);
  setup.push(...also.flatMap((one) => one.setup ?? []));
  const actions: Action[] = [
    ...pages.actions(),
    ...actors.flatMap((actor, i) => [...lifeOf(actor), ...parts[i]!.actions(actor)]),
    ...also.flatMap((one) => one.actions(actors).map((call) => ({ call }))),
    ...also.flatMap((one) => one.whenUnderway?.(actors) ?? []),
  ];
  const devices = [...actors.map(({ device }) => device), ...also.flatMap((one) => one.devices ?? [])];
  return {
    gen,
    setup,
    actions,
    devices,
    alike: alikeOf(actors, parts),
    mappings: options.mappings,
    underway: UNDERWAY,
    isAboutFiles: also.some((one) => one.isAboutFiles ?? false),
  };
}

/** What happens to any device. */
function lifeOf({ device }: Actor): Action[] {
  return ['open-device', 'close-device', 'unset-container'].map((call) => ({ call: { call, device } }));
}

/** Devices that can be exchanged: their drivers are configured alike, and know of no name of theirs. */
function alikeOf(actors: readonly Actor[], parts: readonly Part[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const { device, driver, number } of actors) {
    if (!parts[number]!.areAlike) continue;
    const key = JSON.stringify(driver);
    groups.set(key, [...(groups.get(key) ?? []), device]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}
