import type { DeadlockEntry, SplatEvent } from './splats.ts';
import type { Task } from './task.ts';

/**
 * The lock cycle that a task has just closed by stopping, beginning with it; null where there is none.
 *
 * @param pending every task that has stopped somewhere
 */
export function findCycle(start: Task, pending: Iterable<Task>): Task[] | null {
  const path: Task[] = [];
  const find = (task: Task): boolean => {
    if (path.includes(task)) return task === start;
    path.push(task);
    for (const next of blockersOf(task, pending)) if (find(next)) return true;
    path.pop();
    return false;
  };
  return find(start) ? path : null;
}

/**
 * The tasks that must move before `task` can. What a driver outside calls while its callback is pending is taken
 * to come from inside that callback.
 */
function blockersOf(task: Task, pending: Iterable<Task>): Task[] {
  if (task.waitsFor) {
    const { owner, readers } = task.waitsFor;
    return owner ? [owner] : [...readers];
  }
  if (task.callback?.mode !== 'outside') return [];
  const { device } = task.callback;
  return [...pending].filter((other) => other.waitsFor && other.byDriver && other.device === device);
}

/** Notes a cycle with each of its tasks. It is one line, which the first of them prints. */
export function reportDeadlock(cycle: readonly Task[]): SplatEvent {
  const entry: DeadlockEntry = {
    kind: 'DEADLOCK',
    function: 'vfio_iommu_type1',
    condition: cycle.map((task) => describe(task)).join('; '),
    tasks: cycle.map((task) => ({
      call: task.call,
      ...(task.device === undefined ? {} : { device: task.device }),
      holds: task.held.map((lock) => lock.name),
      waitsFor: waitsFor(task),
    })),
  };
  const event: SplatEvent = {
    id: entry.kind,
    function: entry.function,
    module: 'vfio_iommu_type1',
    entry,
    details: {},
    callback: null,
    report: null,
    tasks: cycle,
  };
  for (const task of cycle) task.noteSplat(event);
  for (const task of cycle) {
    task.adviseBug('callback-deadlock', 0n, task.device === undefined ? [] : [task.device]);
  }
  cycle[0]!.onSplat(event);
  return event;
}

function waitsFor(task: Task): string {
  return task.waitsFor?.name ?? `the callback of ${task.callback!.device}`;
}

function describe(task: Task): string {
  const held = task.held.map((lock) => lock.name).join(' and ') || 'nothing';
  return `${task.call}${task.device ? ` of ${task.device}` : ''} holds ${held} and waits for ${waitsFor(task)}`;
}
