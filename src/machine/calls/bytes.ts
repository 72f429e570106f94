import { Base64Bytes, base64, HashedBytes, MUCH } from '../../json/base64.ts';
import { Fnv } from '../../json/fnv.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { Mm } from '../../kernel/mm.ts';
import { COPIED_AT_ONCE } from '../../kernel/pages.ts';
import { type KernelStep, RESCHED } from '../../kernel/task.ts';

/** The bytes of a text in base64, decoded a piece at a time: whole groups of four characters. */
export function* decoded(text: string): KernelStep<Uint8Array> {
  if (text.length <= COPIED_AT_ONCE) return Buffer.from(text, 'base64');
  const bytes = Buffer.alloc(Buffer.byteLength(text, 'base64'));
  let done = 0;
  for (let at = 0; at < text.length; at += COPIED_AT_ONCE) {
    done += bytes.write(text.slice(at, at + COPIED_AT_ONCE), done, 'base64');
    yield RESCHED;
  }
  return bytes;
}

/** Does something with a range of memory, a piece at a time, up to the first errno. */
export function* inPieces(
  vaddr: bigint,
  length: number,
  each: (vaddr: bigint, at: number, length: number) => Errno | null,
): KernelStep<Errno | null> {
  for (let at = 0; at < length; at += COPIED_AT_ONCE) {
    const errno = each(vaddr + BigInt(at), at, Math.min(COPIED_AT_ONCE, length - at));
    if (errno) return errno;
    if (length > COPIED_AT_ONCE) yield RESCHED;
  }
  return null;
}

/**
 * Bytes as an answer has them. The hash that a trace tells of them is worked out here, where there may be pauses.
 *
 * @param hashed whether the hash of many is enough
 */
export function* dataOf(bytes: Uint8Array, hashed: boolean): KernelStep<string | Base64Bytes | HashedBytes> {
  const data = base64(bytes);
  if (!(data instanceof Base64Bytes)) return data;
  for (const _ of data.hashing()) yield RESCHED;
  return hashed ? new HashedBytes(data.hash) : data;
}

/**
 * Bytes of memory as an answer has them.
 *
 * @param hashed whether the hash of many is enough: they are never there together then
 */
export function* memoryData(
  memory: Mm,
  vaddr: bigint,
  length: number,
  hashed: boolean,
): KernelStep<string | Base64Bytes | HashedBytes> {
  if (hashed && length >= MUCH) {
    const hash = new Fnv();
    const piece = new Uint8Array(Math.min(length, COPIED_AT_ONCE));
    yield* inPieces(vaddr, length, (at, _done, count) => {
      hash.take(memory.read(at, count, piece.subarray(0, count)));
      return null;
    });
    return new HashedBytes(hash.value);
  }
  const bytes = new Uint8Array(length);
  yield* inPieces(vaddr, length, (at, done, count) => {
    memory.read(at, count, bytes.subarray(done, done + count));
    return null;
  });
  return yield* dataOf(bytes, hashed);
}
