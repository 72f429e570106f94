import type { Driver } from '../../schemas/drivers/index.ts';
import type { MdevDriver } from '../kernel/driver.ts';
import { DRIVER_SPLATS } from '../kernel/driver-splats.ts';
import type { Generation } from '../kernel/generations/index.ts';
import type { Splat } from '../kernel/splats.ts';
import { manualModel, webhookModel } from './external/model.ts';
import { gvtGModel } from './gvt-g/model.ts';
import { type DriverModel, eraOf } from './model.ts';
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

/** The driver a client asked for, in the era of the kernel unless it names a variant; none is a vfio-pci device's. */
export function createDriver(config: Driver | undefined, gen: Generation): MdevDriver {
  if (!config) return new VfioPciDriver();
  const model = BY_TYPE.get(config.type)!;
  return model.create(config, eraOf(model, gen.drivers));
}

/** The warnings of all models in all their eras. */
export function driverSplats(): Splat[] {
  const own = MODELS.flatMap((model) =>
    Object.values(model.eras).flatMap((era) => model.splats?.(era) ?? []),
  );
  return [...Object.values(DRIVER_SPLATS), ...own];
}
