import { isDeepStrictEqual } from 'node:util';
import type { DriverDifferenceId } from '../kernel/generations/driver-differences.ts';
import type { Expectation, Step } from './scenario.ts';

/** A step that the drivers of two kernels make differ: what the older one answers, and the newer one. */
interface DriverStep {
  readonly step: Step;
  readonly older: Expectation;
  readonly newer: Expectation;
}

const ASSIGNS = ['ap-assign', 'ap-unassign'];
const PQAP = ['ap-enable-interrupt', 'ap-disable-interrupt'];
const QUEUES = ['ap-bind-queue', 'ap-unbind-queue'];
const BUS = ['ap-bus-scan', 'ap-host-adapter'];
const RESETS = ['ap-reset', 'close-device', 'detach', 'remove-device'];

/** A driver's calls into VFIO, each without where in the order it came. */
function calls({ vfio = [] }: Expectation): string[] {
  return vfio.map(({ seq: _seq, by: _by, ret: _ret, ...call }) => JSON.stringify(call));
}

/** The keys of what it pinned or unpinned. */
function keys({ vfio = [] }: Expectation): string[] {
  return vfio.flatMap(({ op, iova }) => (iova === undefined ? [] : [`${op} ${iova}`]));
}

function issues({ instructions = [] }: Expectation, op: string): boolean {
  return instructions.some((one) => one.op === op);
}

/** The guest was told that its interruption subclass was refused: nothing was asked of the hardware. */
function refusesIsc(answer: Expectation): boolean {
  return (
    (answer.response === 6 || answer.response === 8) &&
    !issues(answer, 'aqic-enable') &&
    keys(answer).length > 0
  );
}

/** How each difference of drivers shows at a step, where another of the same driver could be meant. */
const SHOWS: Partial<Record<DriverDifferenceId, (at: DriverStep) => boolean>> = {
  'vfio-ap-aqic-unread': ({ step, older, newer }) =>
    PQAP.includes(step.call) &&
    (older.response !== newer.response || !isDeepStrictEqual(older.instructions, newer.instructions)) &&
    !refusesIsc(newer),
  'vfio-ap-isc': ({ older, newer }) => refusesIsc(newer) && older.response !== newer.response,
  'vfio-ap-exact-byte': ({ older, newer }) => {
    const [before, after] = [keys(older), keys(newer)];
    return before.length > 0 && after.length > 0 && before[0] !== after[0];
  },
  'vfio-ap-guest-needed': ({ older, newer }) =>
    newer.errno !== older.errno && ['EINVAL', 'EPERM'].includes(newer.errno ?? ''),
  'vfio-ap-matrix': ({ step, older }) => ASSIGNS.includes(step.call) && typeof older.errno === 'string',
  'vfio-ap-filter': ({ step, newer }) => ASSIGNS.includes(step.call) && issues(newer, 'zapq'),
  'vfio-ap-queues': ({ step }) => QUEUES.includes(step.call),
  'vfio-ap-bus-scan': ({ step }) => BUS.includes(step.call),
  'vfio-ap-reset-answers': ({ step }) => RESETS.includes(step.call),
  'vfio-ap-order': ({ step, older, newer }) =>
    PQAP.includes(step.call) &&
    !isDeepStrictEqual(calls(older), calls(newer)) &&
    isDeepStrictEqual(calls(older).sort(), calls(newer).sort()),
  'vfio-ap-callback': ({ step, older, newer }) =>
    step.call === 'unmap-dma' || !isDeepStrictEqual(older.killed, newer.killed),
  'vfio-ap-request': () => false,
  'vfio-ccw-notoper': ({ step, older, newer }) => {
    const notoper = ({ fsmEvents = [] }: Expectation) => JSON.stringify(fsmEvents).includes('NOT_OPER');
    return step.call === 'unmap-dma' && older.killed !== newer.killed && (notoper(older) || notoper(newer));
  },
};

/**
 * Which differences of one driver a step shows; where it shows none of them, because an earlier one has left another
 * state behind, those that the first step shows that does.
 */
export function driverReasons<D extends { readonly id: string }>(
  differences: readonly D[],
  at: DriverStep,
  earlier: readonly DriverStep[],
): readonly D[] {
  for (const one of [at, ...earlier.filter(({ older, newer }) => !isDeepStrictEqual(older, newer))]) {
    const shown = differences.filter(({ id }) => SHOWS[id as DriverDifferenceId]?.(one));
    if (shown.length > 0) return shown;
  }
  const anywhere = differences.filter(({ id }) => !(id in SHOWS));
  return anywhere.length > 0 ? anywhere : differences;
}
