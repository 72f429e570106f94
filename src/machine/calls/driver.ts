import { GvtGDriver } from '../../drivers/gvt-g.ts';
import { VfioApDriver } from '../../drivers/vfio-ap.ts';
import { VfioCcwDriver } from '../../drivers/vfio-ccw.ts';
import type { DriverApi, MdevDriver } from '../../kernel/driver.ts';
import { TOP_PAGE } from '../../kernel/pages.ts';
import { type KernelStep, refuse, type Task } from '../../kernel/task.ts';
import {
  address,
  type CallHandlers,
  type CallResult,
  NOTHING,
  ok,
  type PreparedCall,
} from '../call-handler.ts';
import type { Machine } from '../machine.ts';
import { Refused } from '../refused.ts';

/** Runs of pinned pages that an answer lists. */
const LISTED_RUNS = 1024;
/** Injected answers that may wait for one instruction or operation. */
const INJECTED_MAX = 1024;
/** A channel program's address has 31 bits. */
const PROGRAM_END = 1n << 31n;

/**
 * `guest`: the call is something that reaches the driver whatever its device file does (an instruction KVM
 * intercepts, the hardware itself, the test rig). `file`: it goes through the device file, EBADF without one.
 */
type Way = 'file' | 'guest';

/** A call for a device with one of the driver models. */
function on<D extends MdevDriver>(
  m: Machine,
  id: string,
  model: { new (config: never): D; readonly type: string },
  call: string,
  way: Way,
  run: (driver: D, api: DriverApi) => KernelStep<CallResult>,
): PreparedCall {
  const device = m.device(id);
  const driver = driverOf(m, id, model, call);
  return function* (task) {
    if (way === 'file' && device.openCount === 0) return refuse(task, 'EBADF', 'the device is not open');
    return yield* run(driver, m.kernel.driverApi(task as Task, device));
  };
}

function driverOf<D extends MdevDriver>(
  m: Machine,
  id: string,
  model: { new (config: never): D; readonly type: string },
  call: string,
): D {
  const { driver, kind } = m.device(id);
  if (driver instanceof model) return driver;
  const has = driver.config?.type ?? kind;
  throw Refused.badRequest(`${call} is for a device with a ${model.type} driver; "${id}" has ${has}`);
}

function checkInjected(waiting: number, more: number): void {
  if (waiting + more > INJECTED_MAX) throw Refused.tooMany('injected answers', INJECTED_MAX);
}

/** A guest frame number: that of a 64-bit address. */
function frameNumber(gfn: string | number): number {
  const value = address(gfn);
  if (value < BigInt(TOP_PAGE)) return Number(value);
  throw Refused.badRequest(`gfn ${gfn} is not a frame number below 2^52`);
}

/** A call on a vfio-ccw device that answers its state. */
function onCcw(
  m: Machine,
  id: string,
  call: string,
  way: Way,
  run: (driver: VfioCcwDriver, api: DriverApi) => KernelStep<CallResult>,
): PreparedCall {
  return on(m, id, VfioCcwDriver, call, way, function* (driver, api) {
    const result = yield* run(driver, api);
    return typeof result === 'string' ? result : { ...result, ...driver.answer(LISTED_RUNS) };
  });
}

/**
 * The calls of the driver models: what a guest or the hardware makes a driver do (spec section 5). On a closed
 * device a guest's PQAP is answered 01, as KVM does without a driver; what needs the device file is EBADF.
 */
export const driverCalls: CallHandlers<
  | 'ap-enable-interrupt'
  | 'ap-disable-interrupt'
  | 'ap-reset'
  | 'ap-inject'
  | 'ccw-start'
  | 'ccw-interrupt'
  | 'ccw-halt'
  | 'ccw-clear'
  | 'ccw-reset'
  | 'ccw-run-work'
  | 'ccw-inject'
  | 'gvt-map-page'
  | 'gvt-unmap-page'
> = {
  'ap-enable-interrupt': (m, id, { apqn, nib, isc }) =>
    on(m, id, VfioApDriver, 'ap-enable-interrupt', 'guest', function* (driver, api) {
      return { response: yield* driver.aqic(api, apqn, { nib: address(nib), isc }) };
    }),
  'ap-disable-interrupt': (m, id, { apqn }) =>
    on(m, id, VfioApDriver, 'ap-disable-interrupt', 'guest', function* (driver, api) {
      return { response: yield* driver.aqic(api, apqn, null) };
    }),
  'ap-reset': (m, id, { apqn }) =>
    on(m, id, VfioApDriver, 'ap-reset', apqn === undefined ? 'file' : 'guest', function* (driver, api) {
      if (apqn === undefined) return ok(yield* driver.reset(api));
      const queue = driver.queue(apqn);
      if (!queue) return api.refuse('ENODEV', `queue ${apqn} is not assigned`);
      return ok(yield* driver.resetOne(api, queue));
    }),
  'ap-inject': (m, id, { apqn, instruction, responses }) => {
    const queue = driverOf(m, id, VfioApDriver, 'ap-inject').queue(apqn);
    if (queue) checkInjected(queue.injectedCount(instruction), responses.length);
    return function* (task) {
      if (!queue) return refuse(task, 'ENODEV', `queue ${apqn} is not assigned`);
      queue.inject(instruction, responses);
      return NOTHING;
    };
  },

  'ccw-start': (m, id, args) => {
    const program = address(args.program);
    if (program >= PROGRAM_END) {
      throw Refused.badRequest(`program ${args.program} is not an address below 2^31`);
    }
    return onCcw(m, id, 'ccw-start', 'file', function* (driver, api) {
      return ok(yield* driver.start(api, program));
    });
  },
  'ccw-interrupt': (m, id) =>
    onCcw(m, id, 'ccw-interrupt', 'guest', function* (driver, api) {
      yield* driver.interrupt(api);
      return NOTHING;
    }),
  'ccw-halt': (m, id) =>
    onCcw(m, id, 'ccw-halt', 'file', function* (driver, api) {
      return ok(driver.asyncCommand(api, 'halt'));
    }),
  'ccw-clear': (m, id) =>
    onCcw(m, id, 'ccw-clear', 'file', function* (driver, api) {
      return ok(driver.asyncCommand(api, 'clear'));
    }),
  'ccw-reset': (m, id) =>
    onCcw(m, id, 'ccw-reset', 'file', function* (driver, api) {
      return ok(yield* driver.reset(api));
    }),
  'ccw-run-work': (m, id) =>
    onCcw(m, id, 'ccw-run-work', 'guest', function* (driver, api) {
      return { ran: yield* driver.runWork(api) };
    }),
  'ccw-inject': (m, id, { operation, errno = 'EIO', times = 1 }) => {
    const driver = driverOf(m, id, VfioCcwDriver, 'ccw-inject');
    checkInjected(driver.injectedCount(operation), times);
    return function* () {
      driver.inject(operation, errno, times);
      return NOTHING;
    };
  },

  'gvt-map-page': (m, id, args) => {
    const gfn = frameNumber(args.gfn);
    return on(m, id, GvtGDriver, 'gvt-map-page', 'file', (driver, api) =>
      driver.mapPage(api, gfn, args.size),
    );
  },
  'gvt-unmap-page': (m, id, args) => {
    const gfn = frameNumber(args.gfn);
    return on(m, id, GvtGDriver, 'gvt-unmap-page', 'file', (driver, api) => driver.unmapPage(api, gfn));
  },
};
