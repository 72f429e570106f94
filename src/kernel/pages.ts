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
/** Bytes of memory that are copied in one go: others have their turn after each piece of a longer copy. */
export const COPIED_AT_ONCE = 256 * 1024;
/** PAGE_SHIFT, bits. */
const PAGE_SHIFT = 12n;
/** Number of pages in the 64-bit address space: the page number of 2^64. */
export const TOP_PAGE = 2 ** 52;
/** 2^64, bytes. */
export const TOP = 1n << 64n;

const OFFSET_MASK = PAGE_SIZE - 1;

/**
 * A 64-bit word as the machine has it, and its halves. An address goes through here from bigint to number and back: the
 * compiler makes moves of that, where Number() and BigInt() are calls, and a bigint shifted is another bigint.
 */
const word = new BigUint64Array(1);
const halves = new Uint32Array(word.buffer);
const LOW = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;
/** Pages, and values, of the low half. */
const HALF_PAGES = 2 ** 20;
const HALF = 2 ** 32;

/** Page number of an address in bytes (0 to 2^64, inclusive). */
export function pageOf(address: bigint): number {
  if (address >= TOP) return Number(address >> PAGE_SHIFT);
  word[0] = address;
  return halves[HIGH]! * HALF_PAGES + (halves[LOW]! >>> 12);
}

/** Offset of an address within its page, bytes (0 to 4095). */
export function offsetInPage(address: bigint): number {
  word[0] = address;
  return halves[LOW]! & OFFSET_MASK;
}

/** True when an address or size is a multiple of PAGE_SIZE. */
export function isPageAligned(address: bigint): boolean {
  return offsetInPage(address) === 0;
}

/** Address in bytes of a page number and an offset; the inverse of pageOf and offsetInPage. */
export function addressOf(page: number, offset = 0): bigint {
  if (page < 2 ** 41) return exact(page * PAGE_SIZE + offset);
  return (BigInt(page) << PAGE_SHIFT) | BigInt(offset);
}

/** A whole number from 0 up to 2^53 as a bigint. */
export function exact(value: number): bigint {
  halves[LOW] = value;
  halves[HIGH] = value / HALF;
  return word[0]!;
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
