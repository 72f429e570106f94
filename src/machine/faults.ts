import { type CallObject, callEntry, isCallName } from '../../schemas/calls.ts';
import type { FaultRule } from '../../schemas/faults.ts';
import { type Errno, isErrno } from '../kernel/errno.ts';
import type { PreparedCall } from './call-handler.ts';
import { Refused } from './refused.ts';

/** Callbacks that a fault may drop. */
const CALLBACKS = ['dma-unmap'];

/** Calls that no fault strikes. */
const FAULT_CALLS = ['add-fault', 'remove-fault', 'clear-faults', 'pause-faults', 'resume-faults'];

/** What a fault does to the call it meets. */
export type FaultEffect = { fault: string } & ({ errno: Errno } | { delayMs: number });

/** A fault with how often it has been looked at and has struck. */
export interface FaultState {
  readonly rule: FaultRule & { fault: string };
  /** Calls that matched. */
  seen: number;
  /** Times it struck. */
  struck: number;
  /** Whether it strikes and counts nothing for now. */
  paused: boolean;
}

/** Deterministic faults of one host: rules that count the calls they match. */
export class Faults {
  private readonly byId = new Map<string, FaultState>();
  /** Number of the next id that no client chose. */
  count = 0;

  /** `capacity` is the number of rules there may be. */
  constructor(private readonly capacity: number) {}

  /**
   * Adds a rule that has been checked; its id.
   *
   * @returns null when the id is taken
   */
  add(rule: FaultRule): { fault: string } | null {
    let id = rule.fault;
    if (id === undefined) {
      do id = `f${this.count++}`;
      while (this.byId.has(id));
    } else if (this.byId.has(id)) return null;
    this.byId.set(id, { rule: { ...rule, fault: id }, seen: 0, struck: 0, paused: false });
    return { fault: id };
  }

  /** Refuses one more rule than there may be. */
  checkRoom(): void {
    if (this.byId.size >= this.capacity) throw Refused.tooMany('faults', this.capacity);
  }

  /** Puts a rule with its counts at the end, from a snapshot. */
  restore(state: FaultState): void {
    this.byId.set(state.rule.fault, { ...state });
  }

  has(id: string): boolean {
    return this.byId.has(id);
  }

  /** Removes a rule; false when there is none of this id. */
  remove(id: string): boolean {
    return this.byId.delete(id);
  }

  /** Removes every rule. */
  clear(): void {
    this.byId.clear();
  }

  /** Pauses or resumes a rule, or every one where none is named. */
  pause(id: string | undefined, paused: boolean): void {
    for (const state of this.byId.values()) {
      if (id === undefined || state.rule.fault === id) state.paused = paused;
    }
  }

  list(): FaultState[] {
    return [...this.byId.values()];
  }

  /** What happens to a call instead, or null. Counts it in every rule that matches; the first that strikes wins. */
  strike(call: CallObject): FaultEffect | null {
    if (this.byId.size === 0) return null;
    const on = { device: call.device, container: call.container };
    let effect: FaultEffect | null = null;
    for (const state of this.byId.values()) {
      const { rule } = state;
      if (state.paused || rule.dropCallback || !matches(rule, call.call, on)) continue;
      if (!counts(state) || effect) continue;
      state.struck++;
      effect =
        rule.delayMs === undefined
          ? { fault: rule.fault, errno: rule.errno as Errno }
          : { fault: rule.fault, delayMs: rule.delayMs + jitterOf(state) };
    }
    return effect;
  }

  /** Whether a callback to a device is dropped: it returns without having done anything. */
  drops(callback: string, device: string, container: string | undefined): boolean {
    if (this.byId.size === 0) return false;
    let dropped = false;
    for (const state of this.byId.values()) {
      if (state.paused || !state.rule.dropCallback || !matches(state.rule, callback, { device, container }))
        continue;
      if (!counts(state)) continue;
      state.struck++;
      dropped = true;
    }
    return dropped;
  }
}

/** Whether this time is the rule's: once at the nth, at every multiple of it, or by chance. */
function counts(state: FaultState): boolean {
  state.seen++;
  const { nth, every, probability } = state.rule;
  if (probability !== undefined) return chance(state, 0) < probability;
  return nth === undefined ? state.seen % every! === 0 : state.seen === nth;
}

/** How much longer a delay is than its rule says at least, milliseconds. */
function jitterOf(state: FaultState): number {
  const { jitterMs } = state.rule;
  return jitterMs === undefined ? 0 : Math.floor(chance(state, 1) * (jitterMs + 1));
}

/**
 * A number from 0 up to 1 that looks like chance: of a rule's seed, of how many calls it has seen, and of what it is
 * for. It is MurmurHash3's finalizer of the three, so that no state is kept.
 */
function chance({ rule: { seed = 0 }, seen }: FaultState, use: 0 | 1): number {
  let x = (seed ^ Math.imul(2 * seen + use, 0x9e37_79b9)) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

function matches(rule: FaultRule, name: string, on: { device?: unknown; container?: unknown }): boolean {
  return (
    rule.on === name &&
    (rule.device === undefined || rule.device === on.device) &&
    (rule.container === undefined || rule.container === on.container)
  );
}

/** Refuses a rule that no schema can refuse. */
export function checkFault(rule: FaultRule): void {
  const wrong = (why: string) => Refused.badRequest(`body of add-fault: ${why}`);
  const times = [rule.nth, rule.every, rule.probability].filter((time) => time !== undefined);
  if (times.length !== 1) throw wrong('exactly one of "nth", "every" and "probability"');
  const effects = [rule.errno, rule.delayMs, rule.dropCallback].filter((effect) => effect !== undefined);
  if (effects.length !== 1) throw wrong('exactly one of "errno", "delayMs" and "dropCallback"');
  if (rule.jitterMs !== undefined && rule.delayMs === undefined) throw wrong('"jitterMs" is of a "delayMs"');
  if (rule.seed !== undefined && rule.probability === undefined && rule.jitterMs === undefined) {
    throw wrong('"seed" is of a "probability" or a "jitterMs"');
  }
  if (rule.errno !== undefined && !isErrno(rule.errno)) throw wrong(`"${rule.errno}" is no errno`);
  if (rule.dropCallback) {
    if (!CALLBACKS.includes(rule.on)) throw wrong(`"dropCallback" is for ${CALLBACKS.join(', ')}`);
  } else if (!canFail(rule.on)) {
    throw wrong(`"${rule.on}" is not a call that can fail`);
  }
}

/** Whether a fault may strike a call: one that is made of others fails as they do. */
function canFail(name: string): boolean {
  if (!isCallName(name) || callEntry(name).of) return false;
  return !FAULT_CALLS.includes(name);
}

/** A call that a fault makes fail before it does anything. */
export function failing(fault: string, errno: Errno): PreparedCall {
  return function* (task) {
    return task.refuse(errno, `fault ${fault} strikes`);
  };
}
