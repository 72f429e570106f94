import { Type } from '@sinclair/typebox';
import {
  CALL_NAMES,
  type CallEntry,
  type CallName,
  type CallObject,
  type CallTarget,
  type Convenience,
  callEntry,
  isCallName,
} from '../../schemas/calls.ts';
import { Id } from '../../schemas/values.ts';
import type { CallHandler, CallHandlers, PreparedCall, Targets } from './call-handler.ts';
import { containerCalls } from './calls/container.ts';
import { deviceCalls } from './calls/device.ts';
import { driverCalls } from './calls/driver.ts';
import { hostCalls } from './calls/host.ts';
import { processCalls } from './calls/process.ts';
import type { Machine } from './machine.ts';
import { Refused } from './refused.ts';
import { predicate, validator } from './validate.ts';

const HANDLERS: CallHandlers<Exclude<CallName, Convenience>> = {
  ...hostCalls,
  ...processCalls,
  ...containerCalls,
  ...deviceCalls,
  ...driverCalls,
};

/** A call, ready to be checked and made. */
class PreparedEntry {
  readonly entry: CallEntry;
  /** Its code; null for one that is made of others. */
  readonly handler: CallHandler<CallName> | null;
  /** Throws a Refused that names the value and the rule where a value is not its arguments. */
  readonly checkArgs: (args: unknown, where: string) => void;
  /** Whether a value is the call in full: its name, its object's id, and every argument. */
  readonly isWhole: (call: CallObject) => boolean;

  constructor(name: CallName) {
    this.entry = callEntry(name);
    this.handler = (HANDLERS as Partial<Record<CallName, CallHandler<CallName>>>)[name] ?? null;
    const { on, args } = this.entry;
    const target = on === 'host' ? {} : { [on]: Id };
    const properties = { call: Type.Literal(name), ...target, ...args.properties };
    this.checkArgs = validator(args);
    this.isWhole = predicate(Type.Object(properties, { additionalProperties: false }));
  }
}

const TABLE = new Map<string, PreparedEntry>(CALL_NAMES.map((name) => [name, new PreparedEntry(name)]));

const checkId = validator(Id);

/** Throws a Refused that names the value and the rule where a value is not the arguments of a call. */
export function checkArgs(name: CallName, args: unknown, where: string): void {
  TABLE.get(name)!.checkArgs(args, where);
}

/** The id of the object a call is made on; undefined for a call on the host. */
export function targetId(call: CallObject): string | undefined {
  const { on } = TABLE.get(call.call)!.entry;
  return on === 'host' ? undefined : (call[on] as string);
}

/** Whether a call is made of others. */
export function isConvenience(name: string): name is Convenience {
  return TABLE.get(name)?.entry.of !== undefined;
}

/** Whether what is under way might not end without this call: a driver makes it. */
export function isByDriver({ call }: CallObject): boolean {
  return TABLE.get(call)?.entry.by === 'driver';
}

/**
 * Checks a call object in full: its name, its object's id, and every argument. For calls that come as one
 * object (traces, batches); a REST request has been checked by its route already.
 *
 * @throws Refused that names the value and the rule
 */
export function checkCall(value: unknown): CallObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw Refused.badRequest('a call must be a JSON object');
  }
  const call = value as CallObject;
  if (!isCallName(call.call)) {
    throw Refused.badRequest(`call ${JSON.stringify(call.call)} is not a call of this host`);
  }
  if (!TABLE.get(call.call)!.isWhole(call)) refuseParts(call.call, call);
  return call;
}

/** Says what is wrong with a call, part by part. */
function refuseParts(name: CallName, { call: _call, ...args }: CallObject): void {
  const { on } = TABLE.get(name)!.entry;
  if (on !== 'host') {
    checkId(args[on], `${name}/${on}`);
    delete args[on];
  }
  checkArgs(name, args, name);
}

/**
 * Makes a checked call ready to run.
 *
 * @throws Refused when an id names nothing or a rule is broken that no schema can say
 */
export function prepareCall(machine: Machine, call: CallObject): PreparedCall {
  const { entry, handler } = TABLE.get(call.call)!;
  if (!handler) throw new Error(`${call.call} is made of other calls`);
  return handler(machine, targetOf(machine, entry.on, call) as never, call as never);
}

/** What a call is made on. */
function targetOf(machine: Machine, on: CallTarget, call: CallObject): Targets[CallTarget] {
  switch (on) {
    case 'host':
      return null;
    case 'process':
      return machine.process(call.process as string);
    case 'container':
      return machine.container(call.container as string);
    case 'device':
      return machine.device(call.device as string);
    case 'fault':
      return call.fault as string;
  }
}
