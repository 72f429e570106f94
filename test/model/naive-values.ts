/** What the parts of the naive model share; see naive-model.ts. */

export const PAGE = 4096n;
export const TOP = 1n << 64n;

/** A call as the service takes it; addresses and sizes are `0x…`, flags and prot raw words. */
export interface Call {
  call: string;
  [argument: string]: unknown;
}

/** A call's result: an errno, or the fields of the answer. */
export type Result = string | Record<string, unknown>;

/** What a call made the kernel print and whom it made it call, in order. */
export interface Trail {
  invalidations: { device: string; iova: string; length: string }[];
  log: { kind: string; what: string }[];
}

/** What a call came to. `end`: it returned, was killed by a BUG_ON, hangs for ever, or named what is not there. */
export interface Outcome extends Trail {
  end: 'returned' | 'killed' | 'wedged' | 'not found';
  errno: string | null;
  body: Record<string, unknown>;
}

export class Killed extends Error {}
export class Wedged extends Error {}
export class NotFound extends Error {}

export const big = (value: unknown): bigint => BigInt(value as string);
export const hex = (value: bigint): string => `0x${value.toString(16)}`;
export const pageOf = (address: bigint): bigint => address / PAGE;
export const isAligned = (value: bigint): boolean => value % PAGE === 0n;

/** Keys of `npage` pages from `iova` on. */
export function keys(iova: bigint, npage: number): bigint[] {
  return Array.from({ length: Math.max(0, npage) }, (_, i) => iova + BigInt(i) * PAGE);
}
