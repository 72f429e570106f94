import { type Static, Type } from '@sinclair/typebox';
import { Id } from './values.ts';

const Ordinal = Type.Integer({
  minimum: 1,
  maximum: 2 ** 31 - 1,
  description: 'an integer from 1 to 2^31-1',
});

/**
 * A fault to inject: `on` which call (or, with dropCallback, which callback), when (`nth`: once; `every`: again
 * and again; `probability`: by chance, the same for the same `seed`), and what happens instead.
 */
export const FaultFields = {
  fault: Type.Optional(Id),
  on: Type.String({ minLength: 1, maxLength: 64, description: 'the name of a call' }),
  /** Only calls on this container or device. */
  container: Type.Optional(Id),
  device: Type.Optional(Id),
  nth: Type.Optional(Ordinal),
  every: Type.Optional(Ordinal),
  probability: Type.Optional(
    Type.Number({ exclusiveMinimum: 0, maximum: 1, description: 'a number above 0 and up to 1' }),
  ),
  /** Where chance begins: the same seed, the same calls struck. */
  seed: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1, description: 'an integer from 0 to 2^32-1' }),
  ),
  errno: Type.Optional(Type.String({ pattern: '^E[A-Z0-9]{2,15}$', description: 'the name of an errno' })),
  delayMs: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 60_000, description: 'milliseconds from 1 to 60000' }),
  ),
  /** At most how much longer than `delayMs`, by chance. */
  jitterMs: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 60_000, description: 'milliseconds from 1 to 60000' }),
  ),
  dropCallback: Type.Optional(Type.Literal(true, { description: 'true' })),
};

const Fault = Type.Object(FaultFields);
export type FaultRule = Static<typeof Fault>;
