/** A plain JSON value with the keys of its objects sorted: one text for one value. A list that is made as it is written stays. */
export function canonical<T>(value: T): T {
  if (Array.isArray(value)) return value.map(canonical) as T;
  if (typeof value !== 'object' || value === null || Symbol.iterator in value) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, canonical(inner)])) as T;
}

/** A number as the shortest `0x…`. */
export function hexNumber(value: number): string {
  return `0x${value.toString(16)}`;
}
