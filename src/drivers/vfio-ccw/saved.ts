import type { CcwOperation, VfioCcwState } from '../../../schemas/drivers/vfio-ccw.ts';
import { hex } from '../../kernel/pages.ts';
import { AT_ONCE, type WrongState } from '../model.ts';
import { WORK_KINDS } from './channel-subsystem.ts';
import type { VfioCcwDriver } from './driver.ts';

/** A driver's state as a device shows it; without a limit (for a snapshot) with the pages of its program. */
export function saveState(driver: VfioCcwDriver, most: number): object {
  const { id, cp, cio, irb, region } = driver;
  const { css, sch } = driver.place;
  const saved: Omit<VfioCcwState, 'program'> = {
    fsm: driver.fsm,
    callbacksSinceWork: driver.callbacksSinceWork,
    ...(driver.holding.at ? { holdAt: driver.holding.at } : {}),
    injected: Object.fromEntries(cio.injected.entries()) as VfioCcwState['injected'],
    subchannel: sch.save(),
    irb: irb && { ...irb },
    region: region && { ...region },
    queue: {
      io: css.placeOf(id, 'io'),
      notoper: css.placeOf(id, 'notoper'),
      unregister: css.placeOf(id, 'unregister'),
    },
  };
  const shown = {
    ...saved,
    ...driver.answer(most),
    active: sch.busy,
    workQueued: css.isQueued(id, 'notoper'),
  };
  return most === Number.POSITIVE_INFINITY ? { ...shown, program: programOf(cp.save()) } : shown;
}

function programOf(program: ReturnType<VfioCcwDriver['cp']['save']>): VfioCcwState['program'] {
  return program && { orb: program.orb, arrays: program.arrays.map((keys) => keys.map(hex)) };
}

/** What its schema cannot say. */
export function checkState({ place: { css } }: VfioCcwDriver, state: VfioCcwState): WrongState | null {
  const { irb, queue, subchannel } = state;
  if (queue.io !== null && !irb)
    return { field: 'irb', rule: 'is null, but the work of an interrupt is queued' };
  const { unregistering } = subchannel;
  if ((queue.unregister !== null) !== (unregistering === 'scheduled')) {
    const rule = `is "${unregistering}", but must be "scheduled" where queue/unregister has a place, and there alone`;
    return { field: 'subchannel/unregistering', rule };
  }
  const own = new Set<number>();
  for (const kind of WORK_KINDS) {
    const place = queue[kind];
    if (place === null) continue;
    const other = css.restoredAt(place) ?? (own.has(place) ? 'another work of this device' : null);
    if (other) return { field: `queue/${kind}`, rule: `is ${place}, the place of ${other}` };
    own.add(place);
  }
  return null;
}

/** Makes a fresh driver remember; stops now and then. */
export function* restoreState(driver: VfioCcwDriver, state: VfioCcwState): Generator<void, void> {
  const { css, sch } = driver.place;
  driver.fsm = state.fsm;
  driver.callbacksSinceWork = state.callbacksSinceWork;
  driver.holding.at = state.holdAt ?? null;
  for (const [operation, errnos] of Object.entries(state.injected)) {
    driver.cio.injected.add(operation as CcwOperation, errnos);
  }
  sch.restore(state.subchannel);
  driver.irb = state.irb;
  driver.region = state.region;
  for (const kind of WORK_KINDS) {
    const place = state.queue[kind];
    if (place !== null) css.restoreWork(driver, kind, place);
  }
  if (!state.program) return;
  const arrays: bigint[][] = [];
  for (const [i, keys] of state.program.arrays.entries()) {
    const array = keys.map(BigInt);
    for (const key of array) driver.held.set(key, (driver.held.get(key) ?? 0) + 1);
    arrays.push(array);
    if (i % AT_ONCE === 0) yield;
  }
  driver.cp.restore(state.program.orb, arrays);
}
