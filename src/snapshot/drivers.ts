import { MODELS, modelOf } from '../drivers/index.ts';
import type { MdevDriver } from '../kernel/driver.ts';
import { canonical } from '../kernel/saved/canonical.ts';
import { wrong } from '../kernel/saved/checks.ts';
import { validator } from '../machine/validate.ts';

const CHECKS = new Map(
  MODELS.flatMap(({ type, schemas }) => (schemas.state ? [[type, validator(schemas.state)]] : [])),
);

/** What a driver remembers; null where that is nothing. */
export function saveDriver(driver: MdevDriver): object | null {
  const model = modelOf(driver);
  const shown = model?.schemas.state ? driver.state?.(Number.POSITIVE_INFINITY) : null;
  if (!shown) return null;
  const derived = model?.derived ?? [];
  return canonical(Object.fromEntries(Object.entries(shown).filter(([field]) => !derived.includes(field))));
}

/** Makes a fresh driver remember, after checking what. */
export function restoreDriver(driver: MdevDriver, state: unknown, where: string): void {
  const model = modelOf(driver);
  const check = model && CHECKS.get(model.type);
  if (!check || !driver.restore) {
    if (state !== null) throw wrong(where, 'must be null: the driver has no state');
    return;
  }
  check(state, where);
  const wrongState = model.checkState?.(driver, state as never);
  if (wrongState) throw wrong(`${where}/${wrongState.field}`, wrongState.rule);
  driver.restore(state as never);
}
