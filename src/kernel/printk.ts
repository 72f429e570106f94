import {
  type LogEntry,
  type PrintedLevel,
  prWarnText,
  SPLATS,
  type Splat,
  type SplatDetails,
  type SplatEvent,
  type SplatId,
  type SplatSites,
  type WarnEntry,
} from './splats.ts';
import type { Task } from './task.ts';

/** Splats as kernels have them, by what a kernel has where. */
const known = new WeakMap<SplatSites, Map<SplatId, Splat>>();

/** A splat of the catalogue as the task's kernel has it. */
export function splatOf({ kernel: { gen } }: Task, id: SplatId): Splat {
  let splats = known.get(gen.splats);
  if (!splats) {
    splats = new Map();
    known.set(gen.splats, splats);
  }
  let splat = splats.get(id);
  if (!splat) {
    const site = gen.splats[id];
    if (!site) throw new Error(`Linux ${gen.version} has no ${id}`);
    splat = { id, ...SPLATS[id], ...site };
    splats.set(id, splat);
  }
  return splat;
}

/**
 * WARN_ON, or WARN_ON_ONCE, of which only the first one prints.
 *
 * @param caller where a function that is inlined into several callers has a flag in each: whose
 */
export function warn(task: Task, splat: Splat, details: SplatDetails, caller?: string): void {
  const { kernel } = task;
  if (splat.kind === 'WARN_ON_ONCE') {
    const flag = caller === undefined ? splat.id : `${splat.id}-${caller}`;
    if (kernel.fired.has(flag)) return;
    kernel.fired.add(flag);
  } else if (splat.kind !== 'WARN_ON') {
    throw new Error(`${splat.id} is not a warning`);
  }
  kernel.taint.add('W');
  report(task, splat, entryOf(splat, splat.kind), details);
}

/** BUG_ON. The task is to go on no more. */
export function bugEvent(task: Task, splat: Splat, details: SplatDetails): SplatEvent {
  task.kernel.taint.add('D');
  return report(task, splat, entryOf(splat, 'BUG_ON'), details);
}

/** pr_warn of a limit in bytes. */
export function prWarnLimit(task: Task, id: 'L1' | 'L2', limitBytes: bigint): void {
  const splat = splatOf(task, id);
  report(task, splat, { kind: 'PR_WARN', text: prWarnText(id, splat, limitBytes) }, {});
}

/**
 * A line without a trace.
 *
 * @param module whose line it is, in metrics
 * @param logged false: it is on the console, but in no call's `log`
 */
export function print(task: Task, kind: PrintedLevel, module: string, text: string, logged = true): void {
  const splat = { id: module, function: '', module };
  report(task, splat, { kind, text }, {}, logged);
}

/** pr_warn of a driver's own, in words of its own. */
export function printDriver(task: Task, module: string, text: string, details: SplatDetails): void {
  report(task, { id: 'driver', function: '', module }, { kind: 'PR_WARN', text }, details);
}

function entryOf(splat: Splat, kind: WarnEntry['kind']): WarnEntry {
  const { function: name, condition, file, line } = splat;
  return { kind, function: name, condition, file, line: line! };
}

function report(
  task: Task,
  { id, function: name, module }: Pick<Splat, 'id' | 'function' | 'module'>,
  entry: LogEntry,
  details: SplatDetails,
  logged = true,
): SplatEvent {
  const event: SplatEvent = {
    id,
    function: name,
    module,
    entry,
    details,
    callback: task.inDmaUnmap,
    report: null,
  };
  if (logged) task.noteSplat(event);
  task.onSplat(event);
  return event;
}
