import { modelOf } from '../drivers/index.ts';
import type { MdevDriver } from '../kernel/driver.ts';
import { canonical } from '../kernel/saved/canonical.ts';
import { wrong } from '../kernel/saved/checks.ts';
import { each } from '../kernel/saved/each.ts';
import type { ListOf } from '../kernel/vfio/container.ts';
import { Refused } from '../machine/refused.ts';
import { checkSteps } from '../machine/validate.ts';
import type { PAUSE } from '../pause.ts';

/**
 * What a driver remembers; null where that is nothing.
 *
 * @param list makes its long lists
 */
export function saveDriver(driver: MdevDriver, list: ListOf): object | null {
  const model = modelOf(driver);
  const shown = model?.schemas.state ? driver.state?.(Number.POSITIVE_INFINITY, asItIs) : null;
  if (!shown) return null;
  const derived = model?.derived ?? [];
  const fields = Object.entries(shown).filter(([field]) => !derived.includes(field));
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    fields.map(([field, value]) => [field, isList(value) ? list(each(value, canonical)) : canonical(value)]),
  );
}

/** A list whose items are made when somebody takes them. */
const asItIs: ListOf = <T>(items: Iterable<T | typeof PAUSE>) => items as T[];

function isList(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

/** More pins than a machine holds. No call could have made them. */
export function tooManyPins(where: string, count: number, limit: number): Refused {
  return new Refused('too-many', `${where} come to ${count} pins, but the limit is ${limit}`);
}

/**
 * Makes a fresh driver remember, after checking what; stops now and then.
 *
 * @param limit the most pins it may believe in
 */
export function* restoreDriver(
  driver: MdevDriver,
  state: unknown,
  limit: number,
  where: string,
): Generator<void, void> {
  const model = modelOf(driver);
  const schema = model?.schemas.state;
  if (!schema || !driver.restore) {
    if (state !== null) throw wrong(where, 'must be null: the driver has no state');
    return;
  }
  const refused = yield* checkSteps(schema, state, where);
  if (refused) throw refused;
  const held = model.pinsOf?.(state as never);
  if (held && held.count > limit) throw tooManyPins(`${where}/${held.field}`, held.count, limit);
  const steps = model.checkState?.(driver, state as never);
  const wrongState = steps && (yield* steps);
  if (wrongState) throw wrong(`${where}/${wrongState.field}`, wrongState.rule);
  yield;
  yield* driver.restore(state as never) ?? [];
}
