/** A 64-bit address or size in bytes, as a call takes it: exact as a bigint or `0x…`; a number up to 2^53-1. */
export type Address = bigint | string | number;

/** The exact value of an address or size from an answer, or of any other. */
export function toBigInt(value: Address): bigint {
  return BigInt(value);
}

/** JSON of a request; a bigint is written `0x…`. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? `0x${item.toString(16)}` : item,
  );
}
