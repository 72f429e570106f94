import { isUtf8 } from 'node:buffer';
import { Refused } from '../src/machine/refused.ts';

const NOTHING = Buffer.alloc(0);

/** Bytes that come in pieces, as the text they are: what is no UTF-8 is refused, for a text that stands for it would be another. */
export class Utf8 {
  /** The beginning of a character whose rest is in the next piece. */
  private rest: Buffer = NOTHING;

  /** @throws Refused where they are not UTF-8 */
  write(piece: Buffer): string {
    const bytes = this.rest.length === 0 ? piece : Buffer.concat([this.rest, piece]);
    const whole = bytes.subarray(0, bytes.length - cutOff(bytes));
    if (!isUtf8(whole)) throw notUtf8();
    this.rest = bytes.subarray(whole.length);
    return whole.toString('utf8');
  }

  /** @throws Refused where the last character is not whole */
  end(): void {
    if (this.rest.length > 0) throw notUtf8();
  }
}

/** How many bytes at the end begin a character that is not whole there. */
function cutOff(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return lengthOf(byte) > back ? back : 0;
  }
  return 0;
}

/** Bytes of a character, by its first one. */
function lengthOf(first: number): number {
  if (first >= 0xf0) return 4;
  return first >= 0xe0 ? 3 : 2;
}

/** Why a body is refused that is not text. */
export function notUtf8(): Refused {
  return Refused.badRequest('the body is not UTF-8');
}
