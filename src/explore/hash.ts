/** A hash of 64 bits over words, in two halves that are mixed differently. */
export class Hash {
  low = 0;
  high = 0;

  begin(): void {
    this.low = 0x811c9dc5 | 0;
    this.high = 0x2545f491 | 0;
  }

  /** A word of 32 bits. */
  word(value: number): void {
    let a = Math.imul(this.low ^ value, 0x9e3779b1);
    a = (a << 13) | (a >>> 19);
    this.low = (Math.imul(a, 5) + 0x38495ab5) | 0;
    let b = Math.imul(this.high + value, 0x85ebca6b);
    b ^= b >>> 15;
    this.high = Math.imul(b ^ this.low, 0xc2b2ae35);
  }

  /** A number: whole ones of up to 53 bits are told apart. */
  number(value: number): void {
    this.word(value | 0);
    const high = Math.floor(value / 0x1_0000_0000);
    if (high !== 0 && high !== -1) this.word(high ^ 0x5bd1e995);
  }

  /** A whole number of any size. */
  bigint(value: bigint): void {
    if (value < 0n || value > WORD_MAX) {
      this.text(value.toString(36));
      return;
    }
    doubleWord[0] = value;
    this.word(halves[0]!);
    this.word(halves[1]! ^ 0x6a09e667);
  }

  /** A text: the same words wherever it is met, in whatever thread. */
  text(value: string): void {
    const words = textHash(value);
    this.word(words[0]);
    this.word(words[1]);
  }

  /** Spreads what was put in last over all bits. */
  end(): void {
    this.low = avalanche(this.low ^ Math.imul(this.high, 0x27d4eb2f));
    this.high = avalanche(this.high + this.low);
  }
}

const WORD_MAX = 2n ** 64n - 1n;
const doubleWord = new BigUint64Array(1);
const halves = new Int32Array(doubleWord.buffer);

const texts = new Map<string, readonly [number, number]>();

/** The hash of a text, which is made once. */
export function textHash(text: string): readonly [number, number] {
  let words = texts.get(text);
  if (!words) {
    words = wordsOf(text);
    texts.set(text, words);
  }
  return words;
}

function wordsOf(text: string): readonly [number, number] {
  const hash = new Hash();
  hash.begin();
  for (let i = 0; i < text.length; i++) hash.word(text.charCodeAt(i));
  hash.end();
  return [hash.low, hash.high];
}

function avalanche(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
