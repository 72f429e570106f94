import type { Advisory } from '../kernel/advisories.ts';
import type { LeftoverPin, SplatEvent } from '../kernel/splats.ts';
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

/** Findings of one part after their kind. One that is met again is the same text, and is looked up as fast as an object. */
const named = new Map<string, Map<string, Finding>>();

function nameOf(kind: string, id: string): Finding {
  let names = named.get(kind);
  if (!names) {
    names = new Map();
    named.set(kind, names);
  }
  let name = names.get(id);
  if (name === undefined) {
    name = `${kind}:${id}`;
    names.set(id, name);
  }
  return name;
}

/** What the kernel printed, as findings. */
export function findingsOf(task: Task, { id, entry, details }: SplatEvent): Finding[] {
  switch (entry.kind) {
    case 'DEADLOCK':
      return [`DEADLOCK:${[...entry.tasks.map(({ call }) => call)].sort().join('+')}`];
    case 'BUG_ON':
      return id === 'B1' ? waysToB1(task, details.pins ?? []) : [nameOf('BUG_ON', id)];
    case 'WARN_ON':
    case 'WARN_ON_ONCE':
      return [nameOf('WARN_ON', id)];
    case 'PR_INFO':
      return [];
    default:
      return [nameOf('PRINTED', id)];
  }
}

/** Advisories that rest on what went before alone, which no state tells. */
const NOT_OF_THE_STATE = new Set<Advisory['kind']>(['UNMAPPED_NOTHING']);

/** An advisory as a finding; none where it is only a word to whoever forgot what he did. */
export function adviceFound({ kind }: Advisory): Finding[] {
  return NOT_OF_THE_STATE.has(kind) ? [] : [nameOf('ADVISORY', kind)];
}

/**
 * The BUG_ON of an unmap that found a mapping pinned at its twelfth visit, and how it came to that where it is not that
 * the holder of the pin was told and kept it: `nobody-left`, no device is there to be told; `not-called`, somebody who
 * holds it was never told, because another one ended the chain.
 */
function waysToB1(task: Task, pins: readonly LeftoverPin[]): Finding[] {
  if (task.invalidations.length === 0) return [B1, `${B1}:nobody-left`];
  const { devices } = task.kernel;
  for (const pin of pins) {
    for (const { device } of pin.devices) {
      const holder = devices.get(device);
      if (!holder || holder.openCount === 0 || !holder.driver.hasDmaUnmap) continue;
      if (!task.invalidations.some((told) => told.device === device)) return [B1, `${B1}:not-called`];
    }
  }
  return [B1];
}

const B1 = 'BUG_ON:B1';
