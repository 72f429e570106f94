import { Base64Bytes, base64 } from '../../json/base64.ts';
import type { Errno } from '../../kernel/errno.ts';
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

/** Bytes as an answer has them. The hash that a trace tells of them is worked out here, where there may be pauses. */
export function* dataOf(bytes: Uint8Array): KernelStep<string | Base64Bytes> {
  const data = base64(bytes);
  if (data instanceof Base64Bytes) for (const _ of data.hashing()) yield RESCHED;
  return data;
}
