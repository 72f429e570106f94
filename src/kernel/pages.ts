/**
 * 64-bit addresses inside the kernel core.
 *
 * Outside, an address or size is a `bigint` of bytes. Inside, it is a page number (0 to 2^52, a plain
 * number, always exact) and, where a driver may pass an unaligned IOVA, an offset of 0 to 4095 bytes.
 * So typed arrays hold addresses in 8 bytes, comparisons are those of numbers, and nothing above 2^53
 * ever passes through a double.
 */

/** PAGE_SIZE, bytes. */
export const PAGE_SIZE = 4096;
/** PAGE_SHIFT, bits. */
const PAGE_SHIFT = 12n;
/** Number of pages in the 64-bit address space: the page number of 2^64. */
export const TOP_PAGE = 2 ** 52;
/** 2^64, bytes. */
export const TOP = 1n << 64n;

const OFFSET_MASK = 0xfffn;

/** Page number of an address in bytes (0 to 2^64, inclusive). */
export function pageOf(address: bigint): number {
  const bytes = Number(address);
  // A bigint shifted is another bigint; most addresses are exact as they are.
  return bytes <= Number.MAX_SAFE_INTEGER ? Math.floor(bytes / PAGE_SIZE) : Number(address >> PAGE_SHIFT);
}

/** Offset of an address within its page, bytes (0 to 4095). */
export function offsetInPage(address: bigint): number {
  return Number(address & OFFSET_MASK);
}

/** True when an address or size is a multiple of PAGE_SIZE. */
export function isPageAligned(address: bigint): boolean {
  return (address & OFFSET_MASK) === 0n;
}

/** Address in bytes of a page number and an offset; the inverse of pageOf and offsetInPage. */
export function addressOf(page: number, offset = 0): bigint {
  if (page < 2 ** 41) return BigInt(page * PAGE_SIZE + offset);
  return (BigInt(page) << PAGE_SHIFT) | BigInt(offset);
}

/** A page number reduced modulo 2^52, as 64-bit address arithmetic wraps. `page` may be negative. */
export function wrapPage(page: number): number {
  if (page >= TOP_PAGE) return page - TOP_PAGE;
  return page < 0 ? page + TOP_PAGE : page;
}

/** An address or size as the API writes it: the shortest lower-case `0x…`. */
export function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** Page number and offset as an API address; numbers below 2^53 avoid the way through bigint. */
export function hexAddress(page: number, offset = 0): string {
  if (page < 2 ** 41) return `0x${(page * PAGE_SIZE + offset).toString(16)}`;
  return hex(addressOf(page, offset));
}
