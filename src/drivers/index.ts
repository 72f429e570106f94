import type { Driver } from '../../schemas/drivers/index.ts';
import type { MdevDriver } from '../kernel/driver.ts';
import { TaskDriverApi } from '../kernel/driver-api.ts';
import type { Errno } from '../kernel/errno.ts';
import type { DriverKernels } from '../kernel/generations/generation.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Splat } from '../kernel/splats.ts';
import type { KernelStep, Task } from '../kernel/task.ts';
import type { ListOf } from '../kernel/vfio/container.ts';
import { manualModel, webhookModel } from './external/model.ts';
import { gvtGModel } from './gvt-g/model.ts';
import { type DriverModel, eraOf, type HostCodec, type ModelHost, type WrongState } from './model.ts';
import { mbochsModel, mdpyModel, mttyModel } from './samples/model.ts';
import { syntheticModel } from './synthetic/model.ts';
import { vfioApModel } from './vfio-ap/model.ts';
import { vfioCcwModel } from './vfio-ccw/model.ts';
import { VfioPciDriver } from './vfio-pci.ts';

/** The driver models. What clients see of each is in `schemas/drivers`. */
export const MODELS: readonly DriverModel[] = [
  syntheticModel,
  webhookModel,
  manualModel,
  vfioApModel,
  vfioCcwModel,
  gvtGModel,
  mttyModel,
  mdpyModel,
  mbochsModel,
];

const BY_TYPE = new Map(MODELS.map((model) => [model.type, model]));

/** The model a driver is of; undefined for a vfio-pci device's. */
export function modelOf(driver: MdevDriver): DriverModel | undefined {
  return driver.config && BY_TYPE.get(driver.config.type);
}

/**
 * The driver a client asked for, in the era of the kernel unless it names a variant; none is a vfio-pci device's.
 *
 * @param id the device's
 * @returns the errno of the mdev's create, where the driver refuses
 */
export function createDriver(kernel: Kernel, config: Driver | undefined, id: string): MdevDriver | Errno {
  if (!config) return new VfioPciDriver();
  const model = BY_TYPE.get(config.type)!;
  return model.create(config, wholeEra(model, kernel.gen.drivers), id, hostOf(kernel, model));
}

/** The era of a driver, with those of its parts. */
function wholeEra(model: DriverModel, drivers: DriverKernels): unknown {
  const era = eraOf(model, drivers);
  if (!model.parts) return era;
  return Object.assign({}, era, ...model.parts.map((part) => eraOf(part, drivers)));
}

/** What all devices of a model share on a host. */
export function hostOf({ modelHosts, gen }: Kernel, model: DriverModel): ModelHost | undefined {
  const { type } = model;
  if (model.newHost && !modelHosts.has(type)) modelHosts.set(type, model.newHost(eraOf(model, gen.drivers)));
  return modelHosts.get(type) as ModelHost | undefined;
}

/** Deferred work of the driver models has time: the process sleeps. */
export function* giveTime({ modelHosts, devices }: Kernel, task: Task): KernelStep<void> {
  const forDevice = (id: string) => new TaskDriverApi(task, devices.get(id)!);
  for (const host of modelHosts.values()) {
    const { idle } = host as ModelHost;
    if (idle) yield* idle.call(host, { forDevice });
  }
}

/** What the devices of the models share, by type; null where it is as on a fresh host. */
export function saveModelHosts(
  { modelHosts }: Kernel,
  codec: HostCodec,
  list: ListOf,
): Record<string, object | null> {
  const shared = MODELS.filter(({ schemas }) => schemas.host);
  const save = (type: string) => (modelHosts.get(type) as ModelHost | undefined)?.save?.(codec, list) ?? null;
  return Object.fromEntries(shared.map(({ type }) => [type, save(type)]));
}

/** Makes a fresh kernel's models remember what their devices share, as it was saved and has been checked. */
export function restoreModelHosts(kernel: Kernel, saved: Readonly<Record<string, unknown>>): void {
  for (const model of MODELS) {
    const state = saved[model.type];
    if (model.schemas.host && state !== null) hostOf(kernel, model)!.restore!(state as never);
  }
}

/** What is wrong in what the devices of a model share, by its type, once the devices are there; null: nothing. */
export function* settleModelHosts(
  kernel: Kernel,
  codecOf: (type: string) => HostCodec,
): Generator<void, { type: string; wrong: WrongState } | null> {
  for (const model of MODELS) {
    const { type } = model;
    const drivers = [...kernel.devices.values()].flatMap(({ driver }) =>
      driver.config?.type === type ? driver : [],
    );
    const steps = model.newHost && hostOf(kernel, model)!.settle?.(drivers as never, codecOf(type));
    const wrong = steps && (yield* steps);
    if (wrong) return { type, wrong };
  }
  return null;
}

/** The warnings of all models in all their eras. */
export function driverSplats(): Splat[] {
  return MODELS.flatMap((model) => Object.values(model.eras).flatMap((era) => model.splats?.(era) ?? []));
}
