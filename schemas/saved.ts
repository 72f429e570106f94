import { type TProperties, type TSchema, Type } from '@sinclair/typebox';

/** An object of a snapshot: exactly these fields. */
export const object = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false });

/** A value that may also be null. */
export const nullable = <T extends TSchema>(schema: T, description: string) =>
  Type.Union([schema, Type.Null()], { description });

/** An address or a size in bytes, written in the one way there is: shortest, lower case. */
export const Hex64 = Type.String({
  pattern: '^0x(?:0|[1-9a-f][0-9a-f]{0,15})$',
  description: 'the shortest lower-case 0x… below 2^64',
});

export const integer = (minimum: number, maximum: number, says: string) =>
  Type.Integer({ minimum, maximum, description: `an integer from ${says}` });
export const Count = integer(0, Number.MAX_SAFE_INTEGER, '0 to 2^53-1');
export const Exact = integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, '-(2^53-1) to 2^53-1');
export const Positive31 = integer(1, 2 ** 31 - 1, '1 to 2^31-1');

/** Queues of injected answers by name; one that is empty is absent. */
export const injected = <K extends string, T extends TSchema>(names: readonly K[], answers: T) =>
  Type.Partial(Type.Object(Object.fromEntries(names.map((name) => [name, answers])) as Record<K, T>), {
    additionalProperties: false,
  });
