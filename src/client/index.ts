export type { CallAnswer, CallName } from '../../schemas/calls.ts';
export type { EventKind, JournalEvent } from '../../schemas/events.ts';
export type { CallInput, CallMethods } from './calls.ts';
export {
  type Compared,
  type Made,
  type Replayed,
  type RigInfo,
  type Scenario,
  type Verdict,
  VfioHostClient,
} from './client.ts';
export { type ProblemBody, VfioHostError } from './error.ts';
export type { EventOf, EventQuery, EventReader, Events } from './events.ts';
export { type VfioMatchers, vfioMatchers } from './matchers.ts';
export type {
  Attached,
  ContainerHandle,
  ContainerInfo,
  DeviceHandle,
  DeviceInfo,
  FaultHandle,
  Mapping,
  Pin,
  ProcessHandle,
  ProcessInfo,
} from './objects.ts';
export type { Operation } from './operation.ts';
export { type RunningHost, type StartOptions, startVfioHost } from './start.ts';
export type { ClientOptions, RawAnswer, RequestOptions, RequestParts } from './transport.ts';
export { type Address, toBigInt } from './values.ts';
