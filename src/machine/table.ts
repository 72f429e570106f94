import { CALL_ARGS, CALL_TARGETS, type CallName, type CallObject } from '../../schemas/calls.ts';
import { Id } from '../../schemas/values.ts';
import type { CallHandler, CallHandlers, PreparedCall } from './call-handler.ts';
import { containerCalls } from './calls/container.ts';
import { deviceCalls } from './calls/device.ts';
import { driverCalls } from './calls/driver.ts';
import { hostCalls } from './calls/host.ts';
import { processCalls } from './calls/process.ts';
import type { Machine } from './machine.ts';
import { Refused } from './refused.ts';
import { validator } from './validate.ts';

const HANDLERS: CallHandlers<CallName> = {
  ...hostCalls,
  ...processCalls,
  ...containerCalls,
  ...deviceCalls,
  ...driverCalls,
};

/** The check of each call's arguments; throws a Refused that names the value and the rule. */
export const checkArgs = Object.fromEntries(
  Object.entries(CALL_ARGS).map(([name, schema]) => [name, validator(schema)]),
) as Record<CallName, (value: unknown, where: string) => void>;
const checkId = validator(Id);

/** Whether there is a call of this name. */
export function isCallName(name: unknown): name is CallName {
  return typeof name === 'string' && Object.hasOwn(CALL_ARGS, name);
}

/** The id of the object a call is made on; undefined for a call on the host. */
export function targetId(call: CallObject): string | undefined {
  const target = CALL_TARGETS[call.call as CallName];
  return target === 'host' ? undefined : (call[target] as string);
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
  const { call: name, ...args } = call;
  const target = CALL_TARGETS[name];
  if (target !== 'host') {
    checkId(args[target], `${name}/${target}`);
    delete args[target];
  }
  checkArgs[name](args, name);
  return call;
}

/**
 * Makes a checked call ready to run.
 *
 * @throws Refused when an id names nothing or a rule is broken that no schema can say
 */
export function prepareCall(machine: Machine, call: CallObject): PreparedCall {
  const name = call.call as CallName;
  const handler = HANDLERS[name] as CallHandler<CallName>;
  return handler(machine, targetId(call) ?? '', call as never);
}
