import type { TObject, TProperties } from '@sinclair/typebox';
import { DRIVER_CALLS, type DriverCalls } from '../drivers/index.ts';
import { type CallEntry, call } from './entry.ts';

/** The calls of the driver models, each for the devices of one model. */
export const driverCalls = Object.fromEntries(
  Object.entries(DRIVER_CALLS).map(([name, { args, answer, stack }]) => [
    name,
    call({ on: 'device', args: args.properties, ...(answer ? { answer } : {}), ...(stack ? { stack } : {}) }),
  ]),
) as unknown as {
  readonly [N in keyof DriverCalls]: CallEntry<
    'device',
    DriverCalls[N]['args'] extends TObject<infer A> ? A : never,
    DriverCalls[N] extends { answer: infer R extends TProperties } ? R : Record<never, never>
  >;
};
