import { type Static, type TProperties, type TSchema, Type } from '@sinclair/typebox';
import { NAMED_HOLDERS, NAMED_PINS } from './kinds.ts';
import { closedObject, Id } from './values.ts';

/** An object of a snapshot: exactly these fields. */
export const object = <T extends TProperties>(properties: T) => closedObject(properties);

/** A value that may also be null. */
export const nullable = <T extends TSchema>(schema: T, description: string) =>
  Type.Union([schema, Type.Null()], { description });

/** An address or a size in bytes, written in the one way there is: shortest, lower case. */
export const Hex64 = Type.String({
  pattern: '^0x(?:0|[1-9a-f][0-9a-f]{0,15})$',
  description: 'the shortest lower-case 0x… below 2^64',
});

/** The same of a host page frame's number or address, which may have a digit more. */
export const Frame = Type.String({
  pattern: '^0x(?:0|[1-9a-f][0-9a-f]{0,16})$',
  description: 'the shortest lower-case 0x… of at most 17 digits',
});
/** A size, which may be all of 2^64. */
export const PageSize = Type.String({
  pattern: '^0x(?:[1-9a-f][0-9a-f]{0,12}000|10000000000000000)$',
  description: 'the shortest lower-case 0x… up to 2^64, a multiple of 0x1000 and not 0',
});

/** The size of a range that a call named, of any bytes: dma_unmap's of everything is 2^64-1. */
const RangeSize = Type.String({
  pattern: '^0x(?:[1-9a-f][0-9a-f]{0,15}|10000000000000000)$',
  description: 'the shortest lower-case 0x… up to 2^64, and not 0',
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

/** A list of at most so many items. */
const list = <T extends TSchema>(items: T, maxItems: number) =>
  Type.Array(items, { maxItems, description: `an array of at most ${maxItems} items` });

/** Words of the host's own: at most so many characters. */
const text = (maxLength: number) =>
  Type.String({ maxLength, description: `a string of at most ${maxLength} characters` });

/** The name of a call, a function, a file or a lock, or a condition. */
const Name = text(256);

/** Calls that hold a lock, or are in a lock cycle, by name. */
const READERS_MAX = 1024;
const CYCLE_MAX = 64;

/** What a dead or deadlocked task printed last. */
const Splat = Type.Union(
  [
    object({
      kind: Type.Literal('BUG_ON'),
      function: Name,
      condition: Name,
      file: Name,
      line: Count,
      container: Type.Optional(Name),
      device: Type.Optional(Name),
      iova: Type.Optional(Hex64),
      size: Type.Optional(RangeSize),
      attempt: Type.Optional(Count),
      pinCount: Type.Optional(Count),
      /** The first pins that were left, with their holders. */
      pins: Type.Optional(
        list(
          object({
            iova: Hex64,
            pfn: Frame,
            refCount: Count,
            devices: list(object({ device: Id, count: Count }), NAMED_HOLDERS),
          }),
          NAMED_PINS,
        ),
      ),
    }),
    object({
      kind: Type.Literal('DEADLOCK'),
      function: Name,
      /** What each of the tasks holds and waits for, in a sentence. */
      condition: text(32_768),
      tasks: list(
        object({ call: Name, device: Type.Optional(Name), holds: list(Name, CYCLE_MAX), waitsFor: Name }),
        CYCLE_MAX,
      ),
    }),
  ],
  { description: 'a splat with "kind" "BUG_ON" or "DEADLOCK"' },
);

/** A lock that is free (null), or held for ever: by the calls named, because of the splat. */
export const SavedLock = nullable(
  object({
    owner: nullable(Name, 'the name of a call, of at most 256 characters, or null'),
    /** Each call once, however many of it there are. */
    readers: list(Name, READERS_MAX),
    splat: Splat,
  }),
  'null, or {owner, readers, splat}',
);
export type SavedLock = Static<typeof SavedLock>;

/** A multiple of 4096. */
export const PageAddress = Type.String({
  pattern: '^0x(?:0|[1-9a-f][0-9a-f]{0,12}000)$',
  description: 'the shortest lower-case 0x… below 2^64, a multiple of 0x1000',
});
/** The number of a process, a device or a file, or a count. */
export const Number31 = integer(0, 2 ** 31 - 1, '0 to 2^31-1');
/** Limit of mappings, as the parameter dma_entry_limit has it. */
export const Entries = integer(0, 2 ** 32 - 1, '0 to 4294967295');
