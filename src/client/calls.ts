import {
  CALL_NAMES,
  type CALLS,
  type CallAnswer,
  type CallArgs,
  type CallName,
  type CallTarget,
  type Convenience,
  callEntry,
  restOf,
} from '../../schemas/calls.ts';
import { Operation } from './operation.ts';
import {
  type RawAnswer,
  type RequestOptions,
  type RequestParts,
  succeeded,
  type Transport,
} from './transport.ts';
import type { Address } from './values.ts';

/** A schema's type, with a bigint wherever it has an address or a size. */
type Widened<T> = { [K in keyof T]: [string | number] extends [NonNullable<T[K]>] ? T[K] | Address : T[K] };

/** The arguments of call N, without the id of its object. */
export type CallInput<N extends CallName> = Widened<CallArgs<N>>;

/** The calls that are made on a kind of object, each a method as its schema says. */
export type CallsOn<T extends CallTarget> = {
  [N in CallName]: N extends Convenience ? never : T extends (typeof CALLS)[N]['on'] ? N : never;
}[CallName];

/** What follows a call's name: its arguments, which may be left out where none is required. */
type Rest<N extends CallName> =
  object extends CallInput<N>
    ? [args?: CallInput<N>, options?: RequestOptions]
    : [args: CallInput<N>, options?: RequestOptions];

type CamelCase<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

/** A method for each call on a kind of object: `map-dma` is `mapDma(args, options)`. */
export type CallMethods<T extends CallTarget> = {
  [N in CallsOn<T> as CamelCase<N>]: (...rest: Rest<N>) => Promise<CallAnswer<N>>;
};

/**
 * An object calls are made on. Every call is a method, `container.mapDma({ iova, vaddr, size, flags })`, made from
 * the call's schema. Addresses and sizes are bytes, `npage` and `pinned` pages; answers give 64-bit values as `0x…`
 * (see toBigInt). A call rejects with VfioHostError when it is refused; one that has to wait, for a callback or a
 * lock, takes as long as that does, within `timeoutMs`.
 */
export class CallTargetHandle<T extends CallTarget> {
  constructor(
    protected readonly transport: Transport,
    /** Id of the object. */
    readonly id: string,
  ) {}

  /** Makes a call by its name, as its method does. */
  async call<N extends CallsOn<T>>(name: N, ...rest: Rest<N>): Promise<CallAnswer<N>> {
    return succeeded(await this.raw(name, ...rest)) as CallAnswer<N>;
  }

  /** Makes a call and gives its answer as it is, a problem too. */
  raw<N extends CallsOn<T>>(name: N, ...[args, options]: Rest<N>): Promise<RawAnswer> {
    return this.send(name, args, options);
  }

  /**
   * Starts a call without waiting for callbacks or locks (`Prefer: respond-async`): it is under way, or answered,
   * when this resolves. Rejects with VfioHostError when it was refused at once.
   */
  async begin<N extends CallsOn<T>>(name: N, ...[args, options]: Rest<N>): Promise<Operation<CallAnswer<N>>> {
    const answer = await this.send(name, args, options, { prefer: 'respond-async' });
    return Operation.of<CallAnswer<N>>(this.transport, answer);
  }

  private send(
    name: CallName,
    args: object | undefined,
    options: RequestOptions | undefined,
    headers?: Record<string, string>,
  ): Promise<RawAnswer> {
    const { method, url } = restOf(name);
    const path = url.replace(/:\w+/, encodeURIComponent(this.id));
    const body = method === 'POST' ? { body: args ?? {} } : { query: args as RequestParts['query'] };
    return this.transport.raw(String(method), path, { ...options, ...body, ...(headers ? { headers } : {}) });
  }
}

/** The class of objects of a kind, with a method for each of their calls. */
export function objectOf<T extends CallTarget>(
  target: T,
): new (
  transport: Transport,
  id: string,
) => CallTargetHandle<T> & CallMethods<T> {
  class WithCalls extends CallTargetHandle<T> {}
  for (const name of CALL_NAMES as readonly CallsOn<T>[]) {
    const { on, of } = callEntry(name);
    if (on !== target || of) continue;
    Object.defineProperty(WithCalls.prototype, camelCase(name), {
      value(this: WithCalls, ...rest: Rest<typeof name>) {
        return this.call(name, ...rest);
      },
    });
  }
  return WithCalls as never;
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_dash, letter: string) => letter.toUpperCase());
}
