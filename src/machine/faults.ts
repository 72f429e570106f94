import { type CallObject, callEntry, isCallName } from '../../schemas/calls.ts';
import type { FaultRule } from '../../schemas/faults.ts';
import { type Errno, isErrno } from '../kernel/errno.ts';
import { Refused } from './refused.ts';

/** Callbacks that a fault may drop. */
const CALLBACKS = ['dma-unmap'];

/** What a fault does to the call it meets. */
export type FaultEffect = { fault: string } & ({ errno: Errno } | { delayMs: number });

/** A fault with how often it has been looked at and has struck. */
export interface FaultState {
  readonly rule: FaultRule & { fault: string };
  /** Calls that matched. */
  seen: number;
  /** Times it struck. */
  struck: number;
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
    this.byId.set(id, { rule: { ...rule, fault: id }, seen: 0, struck: 0 });
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
      if (rule.dropCallback || !matches(rule, call.call, on)) continue;
      if (!counts(state) || effect) continue;
      state.struck++;
      effect =
        rule.delayMs === undefined
          ? { fault: rule.fault, errno: rule.errno as Errno }
          : { fault: rule.fault, delayMs: rule.delayMs };
    }
    return effect;
  }

  /** Whether a callback to a device is dropped: it returns without having done anything. */
  drops(callback: string, device: string, container: string | undefined): boolean {
    let dropped = false;
    for (const state of this.byId.values()) {
      if (!state.rule.dropCallback || !matches(state.rule, callback, { device, container })) continue;
      if (!counts(state)) continue;
      state.struck++;
      dropped = true;
    }
    return dropped;
  }
}

/** Whether this time is the rule's: once at the nth, or at every so-manieth. */
function counts(state: FaultState): boolean {
  state.seen++;
  const { nth, every } = state.rule;
  return nth === undefined ? state.seen % every! === 0 : state.seen === nth;
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
  if ((rule.nth === undefined) === (rule.every === undefined))
    throw wrong('exactly one of "nth" and "every"');
  const effects = [rule.errno, rule.delayMs, rule.dropCallback].filter((effect) => effect !== undefined);
  if (effects.length !== 1) throw wrong('exactly one of "errno", "delayMs" and "dropCallback"');
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
  return name !== 'add-fault' && name !== 'remove-fault';
}
