import { type TObject, type TOptional, type TProperties, Type } from '@sinclair/typebox';
import { AdvisoryEntry, InvalidationEntry, KERNEL_EFFECTS, LogEntry, SplatReport } from '../answers.ts';
import { DRIVER_EFFECTS } from '../drivers/index.ts';
import { closedObject, Id, optional } from '../values.ts';

/** What a call is made on; its id is an argument of the same name. */
export type CallTarget = 'host' | 'process' | 'container' | 'device' | 'fault';

/** Method, path (with `:target` in place of the id) and success status of a call as a REST request. */
export interface RestRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly status: number;
}

/** What may come with every answer. */
export const SideEffects = {
  invalidations: Type.Optional(Type.Array(InvalidationEntry)),
  log: Type.Optional(Type.Array(LogEntry)),
  splats: Type.Optional(
    Type.Array(SplatReport, { description: 'the WARNs and the BUG of `log` with what they were about' }),
  ),
  advisories: Type.Optional(Type.Array(AdvisoryEntry)),
  milliseconds: Type.Optional(
    Type.Number({ description: 'how long it slept or waited for those that sleep, of the host’s own time' }),
  ),
  ...optional(KERNEL_EFFECTS),
  ...optional(DRIVER_EFFECTS),
};

/** All that is to be known of a call but its code. */
export interface CallEntry<
  T extends CallTarget = CallTarget,
  A extends TProperties = TProperties,
  R extends TProperties = TProperties,
> {
  /** What it does, for whoever has not read the kernel: a sentence or two. */
  readonly about: string;
  readonly on: T;
  /** A driver makes it, maybe from inside its callback: what is under way may be waiting for it. */
  readonly by?: 'driver';
  /** It goes through a group’s file, which may be open when the device has gone. */
  readonly alsoGone?: true;
  /** It changes nothing that a client can see. */
  readonly reads?: true;
  /** Its arguments, without the id of what it is made on. */
  readonly args: TObject<A>;
  /** Its answer on success. */
  readonly answer: TObject<R & typeof SideEffects>;
  /** Where it is not `POST /v1/<collection>/<id>/<call>`, answered 200. */
  readonly rest?: RestRequest;
  /** Functions between user space (or a driver's thread) and what it does, innermost first; absent: invented. */
  readonly stack?: readonly string[];
  /** The calls it is made of; they alone are journalled and recorded. */
  readonly of?: readonly string[];
}

/** Who makes a call: an argument of every call that is not made on a process. */
const Actor: { process: TOptional<typeof Id> } = { process: Type.Optional(Id) };

/** The arguments of a call on T that has those of A. */
type WithActor<T extends CallTarget, A extends TProperties> = T extends 'process' ? A : typeof Actor & A;

/** What an entry says itself. */
interface Given<T extends CallTarget, A extends TProperties, R extends TProperties>
  extends Pick<CallEntry, 'about' | 'by' | 'alsoGone' | 'reads' | 'rest' | 'stack' | 'of'> {
  readonly on: T;
  /** No arguments where there are none. */
  readonly args?: A;
  /** An empty object where there is nothing to say. */
  readonly answer?: R;
}

/** A call. */
export function call<
  const T extends CallTarget,
  A extends TProperties = Record<never, never>,
  R extends TProperties = Record<never, never>,
>({ args, answer, ...entry }: Given<T, A, R>): CallEntry<T, WithActor<T, A>, R> {
  return {
    ...entry,
    args: closedObject({ ...args, ...(entry.on === 'process' ? {} : Actor) } as unknown as WithActor<T, A>),
    answer: Type.Object({ ...(answer ?? ({} as R)), ...SideEffects }),
  };
}
