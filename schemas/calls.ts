import type { Static } from '@sinclair/typebox';
import { callbackCalls } from './calls/callbacks.ts';
import { containerCalls } from './calls/container.ts';
import { conveniences } from './calls/conveniences.ts';
import { deviceCalls } from './calls/device.ts';
import { driverCalls } from './calls/driver.ts';
import type { CallEntry, CallTarget, RestRequest } from './calls/entry.ts';
import { hostCalls } from './calls/host.ts';
import { pinCalls } from './calls/pins.ts';
import { processCalls } from './calls/process.ts';
import { ioctl } from './calls/stacks.ts';

export type { CallEntry, CallTarget } from './calls/entry.ts';

/** Every call: the one vocabulary of REST, batch, traces and journal. */
export const CALLS = {
  ...processCalls,
  ...containerCalls,
  ...conveniences,
  ...deviceCalls,
  ...pinCalls,
  ...callbackCalls,
  ...driverCalls,
  ...hostCalls,
};

export type CallName = keyof typeof CALLS;

/** The calls that are made of others. */
export type Convenience = keyof typeof conveniences;

/** The names of the calls. */
export const CALL_NAMES = Object.keys(CALLS) as readonly CallName[];

/** The arguments of call N as validated. */
export type CallArgs<N extends CallName> = Static<(typeof CALLS)[N]['args']>;

/** What call N answers on success. */
export type CallAnswer<N extends CallName> = Static<(typeof CALLS)[N]['answer']>;

/** A call with its name and, where it has one, the id of its object. */
export type CallObject = { call: string; [argument: string]: unknown };

/** Whether there is a call of this name. */
export function isCallName(name: unknown): name is CallName {
  return typeof name === 'string' && Object.hasOwn(CALLS, name);
}

/** A call's entry, whichever it is. */
export function callEntry(name: CallName): CallEntry {
  return CALLS[name] as unknown as CallEntry;
}

const COLLECTION: Readonly<Record<Exclude<CallTarget, 'host'>, string>> = {
  process: 'processes',
  container: 'containers',
  device: 'devices',
  fault: 'faults',
};

/** How a call is made over REST. */
export function restOf(name: CallName): RestRequest {
  const { on, rest } = callEntry(name);
  if (rest) return rest;
  const path = on === 'host' ? '' : `${COLLECTION[on]}/:${on}/`;
  return { method: 'POST', url: `/v1/${path}${name}`, status: 200 };
}

/** The functions below what a call does, innermost first; a call that names none goes through one of its name. */
export function stackOf(name: CallName): readonly string[] {
  return callEntry(name).stack ?? ioctl(`vfio_host_${name.replaceAll('-', '_')}`);
}
