import { Fnv } from './fnv.ts';

/** Bytes from which on they are written piece by piece. */
export const MUCH = 64 * 1024;

/** Bytes of a piece: a multiple of 3, so that its text is whole. */
const PIECE = 48 * 1024;

const textOf = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');

/** Many bytes of an answer, of which nobody reads more than their hash. */
export class HashedBytes {
  /** @param hash the recordings' hash of the bytes */
  constructor(readonly hash: string) {}
}

/** Many bytes of an answer. As one text they would be gone through several times, each time in one go. */
export class Base64Bytes {
  private made: string | null = null;

  constructor(readonly bytes: Uint8Array) {}

  /** The recordings' hash of the bytes. */
  get hash(): string {
    this.made ??= new Fnv().take(this.bytes).value;
    return this.made;
  }

  /** Works the hash out, stopping now and then. */
  *hashing(): Generator<void, void> {
    const hash = new Fnv();
    for (let at = 0; at < this.bytes.length; at += MUCH) {
      hash.take(this.bytes.subarray(at, at + MUCH));
      yield;
    }
    this.made = hash.value;
  }

  *pieces(): Generator<string, void> {
    const { bytes } = this;
    for (let at = 0; at < bytes.length; at += PIECE) yield textOf(bytes.subarray(at, at + PIECE));
  }

  toJSON(): string {
    return textOf(this.bytes);
  }
}

/** Bytes in base64: as text, or, where they are many, as what is written as that. */
export function base64(bytes: Uint8Array): string | Base64Bytes {
  return bytes.length < MUCH ? textOf(bytes) : new Base64Bytes(bytes);
}

/** Whether it is many bytes of an answer, or their hash. */
export function hasHash(data: unknown): data is Base64Bytes | HashedBytes {
  return data instanceof Base64Bytes || data instanceof HashedBytes;
}
