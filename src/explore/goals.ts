import type { Advisory } from '../kernel/advisories.ts';
import type { SplatEvent } from '../kernel/splats.ts';
import type { Task } from '../kernel/task.ts';

/**
 * What a call came to that somebody may look for, from the general to the particular, parts joined by colons:
 * `BUG_ON:B1`, `BUG_ON:B1:nobody-left`, `WARN_ON:W3`, `DEADLOCK:close-device+unmap-dma`, `ADVISORY:FOREIGN_UNPIN`.
 */
export type Finding = string;

/** Goals that stand for any of these findings. */
export const GOAL_HELP = 'BUG_ON, WARN_ON:<id>, DEADLOCK, ADVISORY:<kind> or any';

/** Whether a finding is one that was looked for. */
export function reaches(finding: Finding, goal: string): boolean {
  return goal === 'any' || finding === goal || finding.startsWith(`${goal}:`);
}

/** Whether somebody can look for it. */
export function isGoal(text: string): boolean {
  return text === 'any' || /^(BUG_ON|WARN_ON|PRINTED|DEADLOCK|ADVISORY)(:[\w.+-]+)*$/.test(text);
}

/** What the kernel printed, as findings. */
export function findingsOf(task: Task, { id, entry, details }: SplatEvent): Finding[] {
  switch (entry.kind) {
    case 'DEADLOCK':
      return [`DEADLOCK:${[...entry.tasks.map(({ call }) => call)].sort().join('+')}`];
    case 'BUG_ON':
      return [`BUG_ON:${id}`, ...waysToB1(task, id, details.pins ?? []).map((way) => `BUG_ON:${id}:${way}`)];
    case 'WARN_ON':
    case 'WARN_ON_ONCE':
      return [`WARN_ON:${id}`];
    case 'PR_INFO':
      return [];
    default:
      return [`PRINTED:${id}`];
  }
}

/** Advisories that rest on what went before alone, which no state tells. */
const NOT_OF_THE_STATE = new Set<Advisory['kind']>(['UNMAPPED_NOTHING']);

/** An advisory as a finding; none where it is only a word to whoever forgot what he did. */
export function adviceFound({ kind }: Advisory): Finding[] {
  return NOT_OF_THE_STATE.has(kind) ? [] : [`ADVISORY:${kind}`];
}

/**
 * How an unmap came to find a mapping pinned at its twelfth visit, where it is not that the holder of the pin was
 * told and kept it: `nobody-left`, no device is there to be told; `not-called`, somebody who holds it was never
 * told, because another one ended the chain.
 */
function waysToB1(
  task: Task,
  id: string,
  pins: readonly { devices: readonly { device: string }[] }[],
): string[] {
  if (id !== 'B1') return [];
  if (task.invalidations.length === 0) return ['nobody-left'];
  const called = new Set(task.invalidations.map(({ device }) => device));
  const { devices } = task.kernel;
  const starved = pins
    .flatMap((pin) => pin.devices)
    .some(({ device }) => {
      const holder = devices.get(device);
      return holder && holder.openCount > 0 && holder.driver.hasDmaUnmap && !called.has(device);
    });
  return starved ? ['not-called'] : [];
}
