import type { TObject, TProperties } from '@sinclair/typebox';
import { DRIVER_CALLS, DRIVER_HOST_CALLS, type DriverCalls, type DriverHostCalls } from '../drivers/index.ts';
import type { DriverCallSchema } from '../drivers/model.ts';
import { type CallEntry, type CallTarget, call } from './entry.ts';

type Entries<C, T extends CallTarget> = {
  readonly [N in keyof C]: CallEntry<
    T,
    C[N] extends { args: TObject<infer A> } ? A : never,
    C[N] extends { answer: infer R extends TProperties } ? R : Record<never, never>
  >;
};

/** The calls of the driver models: each for the devices of one model, or on the host. */
export const driverCalls = {
  ...entries<Entries<DriverCalls, 'device'>>('device', DRIVER_CALLS),
  ...entries<Entries<DriverHostCalls, 'host'>>('host', DRIVER_HOST_CALLS),
};

function entries<E>(on: CallTarget, calls: Readonly<Record<string, DriverCallSchema>>): E {
  const named = Object.entries(calls).map(([name, { about, args, answer, stack }]) => [
    name,
    call({ about, on, args: args.properties, ...(answer ? { answer } : {}), ...(stack ? { stack } : {}) }),
  ]);
  return Object.fromEntries(named) as E;
}
