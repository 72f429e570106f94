import type { CallObject } from '../../schemas/calls.ts';
import type { Advisory } from '../kernel/advisories.ts';
import type { CallbackReturn, Invalidation, PendingCallback } from '../kernel/callback.ts';
import type { SplatEvent } from '../kernel/splats.ts';
import type { CallTask } from './call-task.ts';
import type { FaultEffect } from './faults.ts';

/**
 * Told what happens on a machine, while it happens. Every method may be left out. None may throw, and none may
 * start a call or resume one before it has returned.
 */
export interface MachineListener {
  /** A call begins. */
  called?(task: CallTask): void;
  /** A fault strikes a call that is about to begin. */
  fault?(call: CallObject, effect: FaultEffect): void;
  /** A driver's dma_unmap was called: one of the task's invalidations, in order. */
  invalidated?(task: CallTask, invalidation: Invalidation): void;
  /** The call stopped in a callback to the outside. */
  callback?(task: CallTask, callback: PendingCallback): void;
  /** A callback to the outside has returned otherwise than by a call; its call goes on. */
  returned?(task: CallTask, callback: PendingCallback, answer: CallbackReturn): void;
  /** The kernel printed something because of the call. */
  splat?(task: CallTask, event: SplatEvent): void;
  /** A finding the kernel does not make, the first time the call has it. */
  advisory?(task: CallTask, advisory: Advisory): void;
  /** The call has run as far as it can by itself, and is under way. */
  waits?(task: CallTask): void;
  /** The call is answered. */
  ended?(task: CallTask): void;
  /** Nothing moves any more until the next call, or until a callback returns. */
  quiet?(): void;
}

/** Those that listen to each kind of event, in order. */
export type Listeners = { readonly [E in keyof MachineListener]-?: readonly MachineListener[] };

/** Sorts listeners by what they listen to, once: most events have two or three. */
export function listenersOf(all: readonly MachineListener[]): Listeners {
  const to = (event: keyof MachineListener) => all.filter((listener) => listener[event] !== undefined);
  return {
    called: to('called'),
    fault: to('fault'),
    invalidated: to('invalidated'),
    callback: to('callback'),
    returned: to('returned'),
    splat: to('splat'),
    advisory: to('advisory'),
    waits: to('waits'),
    ended: to('ended'),
    quiet: to('quiet'),
  };
}
