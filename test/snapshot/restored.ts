import { expect } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import type { CallObject } from '../../schemas/calls.ts';
import type { Host } from '../../src/host/host.ts';
import type { StartedCall } from '../../src/machine/call-task.ts';
import { Refused } from '../../src/machine/refused.ts';
import { checkCall } from '../../src/machine/table.ts';
import { checkSnapshot } from '../../src/snapshot/restore.ts';
import { newHost } from '../harness/host.ts';

/** A snapshot as text, secrets included. */
export function textOf(host: Host): string {
  return JSON.stringify(host.snapshot(true));
}

/** A fresh host (of a kernel that a snapshot replaces) in the state of a snapshot's text. */
export function hostFrom(text: string): Host {
  const host = newHost();
  host.restore(checkSnapshot(JSON.parse(text), 'snapshot'), 'snapshot');
  return host;
}

/** A call as it came out: its start, or the kind and words of the problem it was refused with. */
export type Outcome = StartedCall | { problem: [kind: string, detail: string] };

/** Makes a call, right or wrong. */
export function make(host: Host, call: CallObject): Outcome {
  try {
    return host.start(checkCall(call));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { problem: [error.kind, error.message] };
  }
}

/** Everything that is to be seen of a call so far, and of the memory that is locked. */
export function seen(host: Host, outcome: Outcome): unknown {
  if ('problem' in outcome) return outcome;
  const { answer } = outcome;
  return {
    reply: answer && toReply(answer),
    invalidations: outcome.delivered(),
    locked: [...host.kernel.processes.values()].map(({ lockedVm }) => lockedVm),
  };
}

/** Makes the same calls on a host and on one restored from its snapshot: the same must be seen, which is returned. */
export function goOnAlike(host: Host, calls: readonly CallObject[]): unknown[] {
  const restored = hostFrom(textOf(host));
  expect(textOf(restored)).toBe(textOf(host));
  const all = calls.map((call) => {
    const one = seen(restored, make(restored, call));
    expect(one, call.call).toEqual(seen(host, make(host, call)));
    return one;
  });
  expect(textOf(restored)).toBe(textOf(host));
  return all;
}

/** Lets every callback return until no call is under way. */
export function drain(host: Host): void {
  for (let pending = host.kernel.scheduler.pending; pending.length > 0; ) {
    const callback = pending.find((task) => task.callback)?.callback;
    if (!callback) throw new Error(`stuck: ${host.machine.underway().join('; ')}`);
    const call = callback.mode === 'held' ? 'resume-callbacks' : 'complete-callback';
    make(host, { call, device: callback.device });
    pending = host.kernel.scheduler.pending;
  }
}
