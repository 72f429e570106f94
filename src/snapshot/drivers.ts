import {
  DRIVER_STATES,
  type GvtGState,
  type SyntheticState,
  type VfioApState,
} from '../../schemas/snapshot.ts';
import { GvtGDriver } from '../drivers/gvt-g.ts';
import { SyntheticDriver } from '../drivers/synthetic.ts';
import { VfioApDriver } from '../drivers/vfio-ap.ts';
import type { MdevDriver } from '../kernel/driver.ts';
import { validator } from '../machine/validate.ts';
import { canonical } from './canonical.ts';
import { checkAscending, wrong } from './wrong.ts';

/** What a driver shows of its state that can be worked out from the rest of it. */
const DERIVED = new Set(['pinnedKeys', 'pinnedPages', 'entries']);

const CHECKS = Object.fromEntries(
  Object.entries(DRIVER_STATES).map(([type, schema]) => [type, validator(schema)]),
);

/** What a driver remembers; null where that is nothing. */
export function saveDriver(driver: MdevDriver): object | null {
  const shown = driver.state?.(Number.POSITIVE_INFINITY);
  if (!shown) return null;
  return canonical(Object.fromEntries(Object.entries(shown).filter(([field]) => !DERIVED.has(field))));
}

/** Makes a fresh driver remember, after checking what. */
export function restoreDriver(driver: MdevDriver, state: unknown, where: string): void {
  const check = CHECKS[driver.config?.type ?? ''];
  if (!check || !driver.restore) {
    if (state !== null) throw wrong(where, 'must be null: the driver has no state');
    return;
  }
  check(state, where);
  checkMore(driver, state as object, where);
  driver.restore(state as never);
}

/** What the schemas of driver states cannot say. */
function checkMore(driver: MdevDriver, state: object, where: string): void {
  if (driver instanceof SyntheticDriver) {
    const { pins } = state as SyntheticState;
    checkAscending(
      pins.map(({ iova }) => BigInt(iova)),
      `${where}/pins`,
    );
  } else if (driver instanceof GvtGDriver) {
    const { cache } = state as GvtGState;
    checkAscending(
      cache.map(({ gfn }) => Number(gfn)),
      `${where}/cache`,
    );
  } else if (driver instanceof VfioApDriver) {
    const apqnsOf = (of: object) => (of as VfioApState).queues.map(({ apqn }) => apqn).join(', ');
    const matrix = apqnsOf(saveDriver(driver)!);
    const named = apqnsOf(state);
    if (named !== matrix) throw wrong(`${where}/queues`, `has APQNs ${named}, but the matrix has ${matrix}`);
  }
}
