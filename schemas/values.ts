import {
  Kind,
  type Static,
  type TLiteral,
  type TObject,
  type TOptional,
  type TProperties,
  type TSchema,
  type TUnion,
  Type,
  TypeRegistry,
} from '@sinclair/typebox';
import {
  IOMMU_READ,
  IOMMU_WRITE,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1_NESTING_IOMMU,
  VFIO_TYPE1v2_IOMMU,
} from './uapi.ts';

/** The largest integer a JSON number may carry here: beyond it a double is not exact. */
const MAX_SAFE = Number.MAX_SAFE_INTEGER;

/** An address or a size in bytes: exact to 64 bits. Out, always the shortest lower-case `0x…`. */
export const Address64 = Type.Union(
  [Type.String({ pattern: '^0x[0-9a-fA-F]{1,16}$' }), Type.Integer({ minimum: 0, maximum: MAX_SAFE })],
  { description: 'a string 0x… of 1 to 16 hex digits, or an integer from 0 to 2^53-1' },
);
export type Address64 = Static<typeof Address64>;

/** An address or size as answers write it. */
export const Hex = Type.String({
  pattern: '^0x(0|[1-9a-f][0-9a-f]{0,15})$',
  title: 'Hex',
  description: 'an address or a size: the shortest lower-case 0x…',
});

/** A client-chosen id. An mdev may also be a UUID, which this includes. */
export const Id = Type.String({
  pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
  description: 'an id: 1 to 63 of a-z 0-9 . _ - with a letter or digit first',
});

/** Id of a group, which may have capitals. */
export const GroupId = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$',
  description: 'an id: 1 to 63 of A-Z a-z 0-9 . _ - with a letter or digit first',
});

/** Name of a rig: an id that may have capitals, as names of tests do. */
export const RigName = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$',
  description: 'a name: 1 to 63 of A-Z a-z 0-9 . _ - with a letter or digit first',
});

/** An object with these properties and no others. */
export function closedObject<P extends TProperties>(properties: P): TObject<P> {
  return Type.Object(properties, { additionalProperties: false });
}

/** One of these words or numbers: the union, its description and its type in one. */
export function oneOf<const T extends readonly (string | number)[]>(...values: T) {
  const literals = values.map((value) => Type.Literal(value)) as unknown as TLiteral<T[number]>[];
  const listed = values.map((value) => JSON.stringify(value));
  const last = listed.pop();
  return Type.Union(literals, { description: `${listed.join(', ')} or ${last}` });
}

/** A guest: its number, or the id of the device that has it for its own. */
export const GuestIdField = Type.Union([Type.Integer({ minimum: 0, maximum: 999_999_999 }), Id], {
  description: 'the number of a guest from 0 to 999999999, or the id of the device whose own it is',
});

/** The guest a group is given to; null: none. */
export const Guest = Type.Union([...GuestIdField.anyOf, Type.Null()], {
  description: `${GuestIdField.description}, or null`,
});

/** A 32-bit signed integer. */
export const Int32 = Type.Integer({
  minimum: -(2 ** 31),
  maximum: 2 ** 31 - 1,
  description: 'a 32-bit signed integer',
});

/** What an ioctl's argument may be, in words. */
export const UNSIGNED_LONG = 'an unsigned long: a string 0x…, or an integer from -2^31 to 2^53-1';

/** An ioctl's unsigned long; a negative number stands for the one with the same low bits. */
export const UnsignedLong = Type.Union(
  [
    Type.String({ pattern: '^0x[0-9a-fA-F]{1,16}$' }),
    Type.Integer({ minimum: -(2 ** 31), maximum: MAX_SAFE }),
  ],
  { description: UNSIGNED_LONG },
);

/** A 32-bit unsigned integer. */
export const UInt32 = Type.Integer({
  minimum: 0,
  maximum: 2 ** 32 - 1,
  description: 'a 32-bit unsigned integer',
});

/** Flag words by the names of their bits, or raw. */
export const MAP_FLAGS = {
  read: VFIO_DMA_MAP_FLAG_READ,
  write: VFIO_DMA_MAP_FLAG_WRITE,
  vaddr: VFIO_DMA_MAP_FLAG_VADDR,
} as const;
export const UNMAP_FLAGS = {
  'get-dirty-bitmap': VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  all: VFIO_DMA_UNMAP_FLAG_ALL,
  vaddr: VFIO_DMA_UNMAP_FLAG_VADDR,
} as const;
export const PROT_FLAGS = { read: IOMMU_READ, write: IOMMU_WRITE } as const;

/** IOMMU types by name. */
export const IOMMU_TYPES = {
  type1: VFIO_TYPE1_IOMMU,
  type1v2: VFIO_TYPE1v2_IOMMU,
  'type1-nesting': VFIO_TYPE1_NESTING_IOMMU,
} as const;

/**
 * The kind of an array of different names. The compiler's own check of `uniqueItems` hashes every item, which took an
 * eighth of a batch; a list of two or three names is looked through.
 */
const NAMES = 'DifferentNames';
TypeRegistry.Set(NAMES, ({ items }: { items: { anyOf: { const: string }[] } }, value) => {
  if (!Array.isArray(value) || value.length > items.anyOf.length) return false;
  return value.every(
    (name, i) => value.indexOf(name) === i && items.anyOf.some((item) => item.const === name),
  );
});

/** A flags or prot word: an array of names, or the raw unsigned 32-bit integer the kernel would get. */
export function FlagWord<T extends Record<string, number>>(bits: T) {
  const names = Object.keys(bits) as (keyof T & string)[];
  const literals = names.map((name) => Type.Literal(name)) as unknown as TLiteral<keyof T & string>[];
  const list = Type.Array(Type.Union(literals) as TUnion<TLiteral<keyof T & string>[]>, {
    uniqueItems: true,
  });
  return Type.Union([UInt32, { ...list, [Kind]: NAMES } as unknown as typeof list], {
    description: `an array of ${names.map((n) => `"${n}"`).join(', ')}, or a 32-bit unsigned integer`,
  });
}

/** The raw word of a FlagWord. */
export function flagWord(value: number | readonly string[], bits: Record<string, number>): number {
  if (typeof value === 'number') return value;
  let word = 0;
  for (const name of value) word |= bits[name]!;
  return word >>> 0;
}

/** The names of the bits that are set in a word, as answers show them. */
export function flagNames<N extends string>(word: number, bits: Readonly<Record<N, number>>): N[] {
  return (Object.keys(bits) as N[]).filter((name) => word & bits[name]);
}

/** Media type of JSON values, one a line. */
export const NDJSON_TYPE = 'application/x-ndjson';

/** A body of JSON values, one a line, each of which is as `line` says. */
export const ndjsonOf = (line: TSchema) => ({
  schema: Type.String({ contentMediaType: 'application/json', contentSchema: line }),
});

/** The kind of base64. A pattern of groups overflows the stack of the regular expression at three million characters. */
export const BASE64 = 'Base64';

export function isBase64(value: unknown): boolean {
  return typeof value === 'string' && value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value);
}

TypeRegistry.Set(BASE64, (_schema, value) => isBase64(value));

/** Bytes, base64. */
export const Base64 = Type.Unsafe<string>({
  [Kind]: BASE64,
  type: 'string',
  pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
  description: 'bytes in base64, padded',
});

/** Most bytes of memory one call may touch. */
const MAX_TRANSFER = 16 * 1024 * 1024;

/** How many bytes of memory a call touches. */
export const Length = Type.Integer({
  minimum: 0,
  maximum: MAX_TRANSFER,
  description: `a number of bytes from 0 to ${MAX_TRANSFER}`,
});

/** The value of one byte. */
export const Byte = Type.Integer({ minimum: 0, maximum: 255, description: 'an integer from 0 to 255' });

/** The same properties, each of which may be left out. */
export function optional<P extends TProperties>(properties: P): { [F in keyof P]: TOptional<P[F]> } {
  const entries = Object.entries(properties).map(([field, schema]) => [field, Type.Optional(schema)]);
  return Object.fromEntries(entries) as { [F in keyof P]: TOptional<P[F]> };
}
