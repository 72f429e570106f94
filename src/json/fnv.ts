/**
 * Where the recordings' hash starts: the decimal offset basis of FNV-1a without its last digit. Their
 * `fnv1a64` is FNV-1a in everything else (hand-rw-basic: sixteen bytes 0x41 give 0x255f0a2bb8269fd3).
 */
const OFFSET = 1469598103934665603n;

/** The low half of FNV-1a's prime, which is 2^40 + 0x1b3. */
const PRIME_LOW = 0x1b3;

/** The recordings' hash (`fnv1a64`) of bytes that come one after the other. */
export class Fnv {
  private low = Number(BigInt.asIntN(32, OFFSET));
  private high = Number(BigInt.asIntN(32, OFFSET >> 32n));

  take(bytes: Uint8Array): this {
    let { low, high } = this;
    for (let i = 0; i < bytes.length; i++) {
      low ^= bytes[i]!;
      // In 32-bit integers: the low half in two parts, so that what it carries over is there.
      const first = (low & 0xffff) * PRIME_LOW;
      const second = (low >>> 16) * PRIME_LOW + (first >>> 16);
      high = (Math.imul(high, PRIME_LOW) + (second >>> 16) + (low << 8)) | 0;
      low = (second << 16) | (first & 0xffff);
    }
    this.low = low;
    this.high = high;
    return this;
  }

  /** As `0x…`, without zeros in front. */
  get value(): string {
    return `0x${((BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0)).toString(16)}`;
  }
}
