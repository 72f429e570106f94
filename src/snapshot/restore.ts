import { type Snapshot, SnapshotSchema, type SnapshotState } from '../../schemas/snapshot.ts';
import { driverSplats, restoreModelHosts } from '../drivers/index.ts';
import { tooMuch } from '../kernel/counted.ts';
import { type Generation, generationOf, VERSIONS_IN_WORDS } from '../kernel/generations/index.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { checkDifferent, WrongState, wrong } from '../kernel/saved/checks.ts';
import { RestoredFiles } from '../kernel/saved/files.ts';
import { restoreParameters, restoreTaint } from '../kernel/saved/kernel.ts';
import { checkLockedPages } from '../kernel/saved/locked-pages.ts';
import { restoreMemory, restoreStores } from '../kernel/saved/memory.ts';
import { restoreProcesses } from '../kernel/saved/process.ts';
import { restoreContainer } from '../kernel/vfio/saved-container.ts';
import type { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { restoreFaults } from '../machine/saved-faults.ts';
import { checkSteps } from '../machine/validate.ts';
import { atOnce } from '../turns.ts';
import { checkLimits } from './check-limits.ts';
import { checkNamed } from './check-named.ts';
import { tooManyPins } from './drivers.ts';
import { settleModels } from './models.ts';
import { restoreDevices, settleDevices } from './restore-devices.ts';

/**
 * Checks the form of what claims to be a snapshot; restoreSnapshot checks what it says.
 *
 * @throws Refused that names the value and the rule
 */
export function checkSnapshot(value: unknown, where: string): Snapshot {
  const refused = atOnce(checkSteps(SnapshotSchema, value, where));
  if (refused) throw refused;
  return value as Snapshot;
}

/** The generation a snapshot is of. */
export function generationOfSnapshot({ kernel }: Snapshot, where: string): Generation {
  const gen = generationOf(kernel);
  if (gen) return gen;
  throw Refused.badRequest(`${where}/kernel is "${kernel}", but must be one of ${VERSIONS_IN_WORDS}`);
}

/**
 * Brings a fresh machine, of the snapshot's kernel, into the state that a snapshot of checked form says.
 *
 * @param where what to call the snapshot in messages
 * @throws Refused for a state that cannot be, or one beyond the machine's limits; the
 *   machine is half-filled then, and must be thrown away
 */
export function restoreSnapshot(machine: Machine, snapshot: Snapshot, where: string): void {
  atOnce(restoreSteps(machine, snapshot, where));
}

/** The same, stopping now and then. */
export function* restoreSteps(machine: Machine, snapshot: Snapshot, where: string): Generator<void, void> {
  try {
    yield* restoreState(machine, snapshot.state, `${where}/state`);
  } catch (error) {
    if (!(error instanceof WrongState)) throw error;
    throw error.tooLarge ? Refused.tooLarge(error.message) : Refused.badRequest(error.message);
  }
}

function* restoreState(machine: Machine, state: SnapshotState, at: string): Generator<void, void> {
  checkLimits(machine.limits, state, at);
  yield* checkNamed(state, at);
  restoreHost(machine, state, at);
  restoreFaults(machine.faults, state, at);
  yield* restoreProcesses(machine.kernel, state, at);
  restoreModelHosts(machine.kernel, state.models);
  const groups = yield* restoreDevices(machine, state, at);
  const files = new RestoredFiles(machine.kernel, groups, state, at);
  yield* files.open();
  yield* restoreMemories(machine.kernel, state, files, at);
  checkDifferent(
    state.containers.map(({ container }) => container),
    `${at}/containers`,
  );
  for (const [i, container] of state.containers.entries()) {
    yield* restoreContainer(machine.kernel, groups, container, `${at}/containers/${i}`);
  }
  yield* files.finish();
  const { references, limits, objects } = machine.kernel;
  if (references.count > limits.pins) throw tooManyPins(`${at}/containers`, references.count, limits.pins);
  if (objects.isOver) throw new WrongState(`${at}: ${tooMuch(objects)}`, true);
  yield* settleDevices(machine, groups, state, at);
  files.check();
  yield;
  yield* settleModels(machine.kernel, `${at}/models`);
  yield;
  yield* checkLockedPages(machine.kernel, `${at}/processes`);
  // Tasks of the calls that hang were made as well.
  machine.kernel.callCount = state.next.call ?? 0;
  machine.kernel.restored = null;
}

/** Parameters, taint, once-only warnings and the numbers of the next ids. */
function restoreHost({ kernel, policy, ids }: Machine, state: SnapshotState, where: string): void {
  const { parameters, next } = state;
  restoreParameters(kernel, parameters);
  policy.panicOnWarn = parameters.panicOnWarn;
  policy.panicOnOops = parameters.panicOnOops;
  restoreTaint(kernel, state, driverSplats(), where);
  ids.next.container = next.container;
  ids.next.device = next.device;
  ids.next.group = next.group;
  ids.next.process = next.process;
}

/** What processes have in their memory, and devices in their BARs. */
function* restoreMemories(
  kernel: Kernel,
  state: SnapshotState,
  files: RestoredFiles,
  where: string,
): Generator<void, void> {
  const stores = yield* restoreStores(kernel, state.stores ?? [], `${where}/stores`);
  for (const [i, { device, bar }] of state.devices.entries()) {
    if (bar === undefined) continue;
    if (!stores[bar]) throw wrong(`${where}/devices/${i}/bar`, `is ${bar}, which is no store`);
    kernel.devices.get(device)!.bar = stores[bar];
  }
  for (const [i, saved] of state.processes.entries()) {
    const { mm } = kernel.processes.get(saved.process)!;
    yield* restoreMemory(kernel, mm.emulated!, saved, stores, files, `${where}/processes/${i}`);
  }
}
