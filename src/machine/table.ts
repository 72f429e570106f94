import { type TSchema, Type } from '@sinclair/typebox';
import {
  CALL_NAMES,
  type CallName,
  type CallObject,
  type CallTarget,
  type Convenience,
  callEntry,
} from '../../schemas/calls.ts';
import { closedObject, Id } from '../../schemas/values.ts';
import type { CallHandler, CallHandlers, PreparedCall, Targets } from './call-handler.ts';
import { callbackCalls } from './calls/callbacks.ts';
import { containerCalls } from './calls/container.ts';
import { deviceCalls } from './calls/device.ts';
import { driverCalls } from './calls/driver.ts';
import { hostCalls } from './calls/host.ts';
import { pinCalls } from './calls/pins.ts';
import { processCalls } from './calls/process.ts';
import type { Machine } from './machine.ts';
import { Refused } from './refused.ts';
import { checkSteps, predicate, validator } from './validate.ts';

const HANDLERS: CallHandlers<Exclude<CallName, Convenience>> = {
  ...hostCalls,
  ...processCalls,
  ...containerCalls,
  ...deviceCalls,
  ...pinCalls,
  ...callbackCalls,
  ...driverCalls,
};

/** A call, ready to be checked and made. */
export class KnownCall {
  /** What it is made on. */
  readonly on: CallTarget;
  /** Whether a driver makes it: what is under way might not end without it. */
  readonly byDriver: boolean;
  /** Whether its device may have gone, while its group’s file is open. */
  private readonly alsoGone: boolean;
  /** Whether it is made of others. */
  readonly isConvenience: boolean;
  /** Throws a Refused that names the value and the rule where a value is not its arguments. */
  readonly checkArgs: (args: unknown, where: string) => void;
  /** What its arguments are. */
  readonly args: TSchema;
  /** Whether a value is the call in full: its name, its object's id, and every argument. */
  readonly isWhole: (call: CallObject) => boolean;
  private readonly handler: CallHandler<CallName> | null;

  constructor(readonly name: CallName) {
    const { on, by, of, alsoGone, args } = callEntry(name);
    this.on = on;
    this.byDriver = by === 'driver';
    this.alsoGone = alsoGone ?? false;
    this.isConvenience = of !== undefined;
    this.handler = (HANDLERS as Partial<Record<CallName, CallHandler<CallName>>>)[name] ?? null;
    const target = on === 'host' ? {} : { [on]: Id };
    const properties = { call: Type.Literal(name), ...target, ...args.properties };
    this.args = args;
    this.checkArgs = validator(args);
    this.isWhole = predicate(closedObject(properties));
  }

  /**
   * Makes a checked call ready to run.
   *
   * @param target what it is made on
   * @throws Refused when an id names nothing or a rule is broken that no schema can say
   */
  prepare(machine: Machine, target: Targets[CallTarget], call: CallObject): PreparedCall {
    if (!this.handler) throw new Error(`${this.name} is made of other calls`);
    return this.handler(machine, target as never, call as never);
  }

  /**
   * What a call is made on.
   *
   * @throws Refused when there is no such thing
   */
  target(machine: Machine, call: CallObject): Targets[CallTarget] {
    switch (this.on) {
      case 'host':
        return null;
      case 'process':
        return machine.process(call.process as string);
      case 'container':
        return machine.container(call.container as string);
      case 'device':
        return machine.device(call.device as string, this.alsoGone);
      case 'fault':
        return call.fault as string;
    }
  }
}

const TABLE = new Map<string, KnownCall>(CALL_NAMES.map((name) => [name, new KnownCall(name)]));

/** The call of a name; undefined where there is none. */
export function knownCall(name: unknown): KnownCall | undefined {
  return TABLE.get(name as string);
}

/** Characters of the longest name of a call that a message repeats. */
const NAME_MAX = 200;

const checkId = validator(Id);

/**
 * Checks a call object in full: its name, its object's id, and every argument. For calls that come as one
 * object (traces, batches); a REST request has been checked by its route already.
 *
 * @throws Refused that names the value and the rule
 */
export function checkCall(value: unknown): CallObject {
  const [call, known] = named(value);
  if (!known.isWhole(call)) refuseParts(known, call);
  return call;
}

/** The same of a large one, stopping now and then. */
export function* checkCallSteps(value: unknown): Generator<void, CallObject> {
  const [call, { name, on, args }] = named(value);
  const { call: _call, ...given } = call;
  if (on !== 'host') {
    checkId(given[on], `${name}/${on}`);
    delete given[on];
  }
  const refused = yield* checkSteps(args, given, name);
  if (refused) throw refused;
  return call;
}

function named(value: unknown): [CallObject, KnownCall] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw Refused.badRequest('a call must be a JSON object');
  }
  const call = value as CallObject;
  const known = knownCall(call.call);
  if (known) return [call, known];
  throw Refused.badRequest(`call ${shown(call.call)} is not a call of this host`);
}

/** As much of a name as a message repeats. */
function shown(name: unknown): string {
  return typeof name === 'string' && name.length > NAME_MAX
    ? `"${name.slice(0, NAME_MAX)}…"`
    : JSON.stringify(name);
}

/** Says what is wrong with a call, part by part. */
function refuseParts({ name, on, checkArgs: check }: KnownCall, { call: _call, ...args }: CallObject): void {
  if (on !== 'host') {
    checkId(args[on], `${name}/${on}`);
    delete args[on];
  }
  check(args, name);
}
