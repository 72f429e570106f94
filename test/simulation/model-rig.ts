import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { iommufdOp, iommufdSetup } from '../model/iommufd-calls.ts';
import { known as knownOfIommufd, states } from '../model/iommufd-state.ts';
import { op, setup } from '../model/model-calls.ts';
import { NaiveIommufdHost } from '../model/naive-iommufd-host.ts';
import { NaiveHost } from '../model/naive-model.ts';
import type { Call, Outcome } from '../model/naive-values.ts';
import { emulatedState, known, modelState } from '../model/type1-state.ts';

/** Calls that a rig is asked and a naive model is asked too. */
export interface ModelRig {
  readonly kernel: string;
  /** The next call; null where there is none any more. */
  next(): Call | null;
  /** Asks the model, and holds what HTTP answered against that. */
  compare(call: Call, status: number, body: Record<string, unknown>): void;
  /** Holds the whole state of the rig's kernel against the model's. */
  compareState(kernel: Kernel): void;
  /** Calls compared so far. */
  readonly compared: number;
}

/** An answer over HTTP in the models' terms. */
function outcomeOf(status: number, body: Record<string, unknown>): Omit<Outcome, 'body'> {
  const log = (body.log ?? []) as { kind: string; text?: string; condition?: string }[];
  const errno = (body.errno ?? null) as string | null;
  const end = body.killed
    ? 'killed'
    : status === 423
      ? 'wedged'
      : status === 404 && errno === null
        ? 'not found'
        : 'returned';
  return {
    end,
    errno,
    invalidations: (body.invalidations ?? []) as Outcome['invalidations'],
    log: log.map(({ kind, text, condition }) => ({ kind, what: text ?? condition! })),
  };
}

function same(what: string, model: unknown, emulator: unknown): void {
  if (isDeepStrictEqual(model, emulator)) return;
  throw new Error(`${what}\n  model:    ${JSON.stringify(model)}\n  emulator: ${JSON.stringify(emulator)}`);
}

interface Op<M> {
  callFor(model: M): Call;
}

/** What is generated of a seed; without fast-check's bias, which is towards small things. */
export function sample<T>(arbitrary: fc.Arbitrary<T>, seed: number, count: number): T[] {
  return fc.sample(fc.noBias(arbitrary), { seed, numRuns: count });
}

abstract class Rig<M extends NaiveHost | NaiveIommufdHost> implements ModelRig {
  abstract readonly kernel: string;
  compared = 0;
  protected readonly queue: (Call | Op<M>)[];

  constructor(
    protected readonly model: M,
    private readonly knownOf: (body: Record<string, unknown>) => object,
    first: Call[],
    then: Op<M>[],
  ) {
    this.queue = [...first, ...then];
  }

  next(): Call | null {
    for (;;) {
      const next = this.queue.shift();
      if (!next) return null;
      const call = 'callFor' in next ? (next as Op<M>).callFor(this.model) : (next as Call);
      if (this.isInScope(call)) return call;
    }
  }

  protected isInScope(_call: Call): boolean {
    return true;
  }

  compare(call: Call, status: number, body: Record<string, unknown>): void {
    this.compared++;
    const { body: answer, ...rest } = this.model.apply(call);
    const what = JSON.stringify(call);
    same(
      what,
      { ...rest, body: this.knownOf(answer) },
      { ...outcomeOf(status, body), body: this.bodyOf(body) },
    );
  }

  /** The fields of a success; a refusal's are none of the call's, but for a size that was written back. */
  private bodyOf({ type, ...body }: Record<string, unknown>): object {
    if (type === undefined) return this.knownOf(body);
    return body.size === undefined ? {} : { size: body.size };
  }

  abstract compareState(kernel: Kernel): void;
}

class Type1Rig extends Rig<NaiveHost> {
  readonly kernel = '6.1';

  constructor(seed: number, count: number) {
    super(new NaiveHost(), known, sample(setup, seed, 1)[0]!, sample(op, seed, count));
  }

  protected override isInScope(call: Call): boolean {
    return this.model.inScope(call);
  }

  compareState(kernel: Kernel): void {
    same('the state', modelState(this.model), emulatedState(kernel));
  }
}

class IommufdRig extends Rig<NaiveIommufdHost> {
  readonly kernel = '6.12-iommufd';

  constructor(seed: number, count: number) {
    super(
      new NaiveIommufdHost(),
      knownOfIommufd,
      sample(iommufdSetup, seed, 1)[0]!,
      sample(iommufdOp, seed, count),
    );
  }

  compareState(kernel: Kernel): void {
    const { modelled, emulated } = states(this.model, kernel);
    same('the state', modelled, emulated);
  }
}

/** A rig with a model of its own; of every two seeds one is of type1, one of iommufd. */
export function modelRig(seed: number, count: number): ModelRig {
  return seed % 2 === 0 ? new Type1Rig(seed, count) : new IommufdRig(seed, count);
}
