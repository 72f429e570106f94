import type { CcwOperation, VfioCcwState } from '../../../schemas/drivers/vfio-ccw.ts';
import { hex } from '../../kernel/pages.ts';
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

/** Makes a fresh driver remember. */
export function restoreState(driver: VfioCcwDriver, state: VfioCcwState): void {
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
  for (const kind of ['io', 'notoper', 'unregister'] as const) {
    const place = state.queue[kind];
    if (place !== null) css.restoreWork(driver, kind, place);
  }
  if (!state.program) return;
  const arrays = state.program.arrays.map((keys) => keys.map(BigInt));
  driver.cp.restore(state.program.orb, arrays);
  for (const key of arrays.flat()) driver.held.set(key, (driver.held.get(key) ?? 0) + 1);
}
