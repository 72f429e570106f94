import { modelOf } from '../drivers/index.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { describeModels } from '../views/models.ts';

/** Items of each list of a device's state. */
const LISTED = 1024;

/**
 * States of the driver models' devices as expectations have them, by id; a device whose model shows none is absent.
 *
 * @param ids of which devices; of all unless given
 */
export function deviceStates(
  { devices }: Kernel,
  ids: Iterable<string> = devices.keys(),
): Record<string, Record<string, unknown>> {
  const states: Record<string, Record<string, unknown>> = {};
  for (const id of ids) {
    const driver = devices.get(id)?.driver;
    const shown = driver && modelOf(driver)?.schemas.shown;
    if (!shown) continue;
    const state = (driver.observed?.() ?? driver.state!(LISTED)) as Record<string, unknown>;
    states[id] = Object.fromEntries(shown.map((field) => [field, state[field]]));
  }
  return states;
}

/** What expectations tell of the models besides their devices: their guests, say. */
export function modelStates(kernel: Kernel): Record<string, unknown> {
  return Object.assign({}, ...Object.values(describeModels(kernel)));
}
