import { Base64Bytes } from './base64.ts';

/** Characters that are written in one go. */
const PIECE = 32 * 1024;

/** Values that one piece of a text has, at most. */
const VALUES = 2000;

/** Characters of a text that count as one more value. */
const CHARACTERS = 64;

/**
 * JSON as JSON.stringify makes it, in pieces.
 *
 * A list may be a generator, or a LongList: its items are made when they are written. A symbol is no item of it, but a
 * place to pause, where the pieces have an empty one.
 */
export function* jsonPieces(value: unknown): Generator<string, void> {
  if (value instanceof Base64Bytes) {
    yield '"';
    yield* value.pieces();
    yield '"';
  } else if (isIterator(value)) {
    yield* listPieces(value);
  } else if (typeof value === 'string' && value.length > PIECE) {
    yield* textPieces(value);
  } else if (typeof value !== 'object' || value === null || isSmall(value)) {
    yield JSON.stringify(value) ?? 'null';
  } else if (Array.isArray(value)) {
    yield* listPieces(value);
  } else {
    let before = '{';
    for (const [key, inner] of Object.entries(value)) {
      if (inner === undefined) continue;
      yield `${before}${JSON.stringify(key)}:`;
      yield* jsonPieces(inner);
      before = ',';
    }
    yield before === '{' ? '{}' : '}';
  }
}

function* textPieces(text: string): Generator<string, void> {
  yield '"';
  for (let at = 0, end = 0; at < text.length; at = end) {
    end = Math.min(at + PIECE, text.length);
    // The two halves of a character stay together: one alone is written as an escape.
    if (isHigh(text.charCodeAt(end - 1)) && end < text.length) end++;
    yield JSON.stringify(text.slice(at, end)).slice(1, -1);
  }
  yield '"';
}

function isHigh(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}

function* listPieces(items: Iterable<unknown>): Generator<string, void> {
  let due = '[';
  let first = true;
  for (const item of items) {
    if (typeof item === 'symbol') {
      yield '';
      continue;
    }
    if (!first) due += ',';
    first = false;
    if (isSmall(item)) due += JSON.stringify(item) ?? 'null';
    else {
      yield due;
      due = '';
      yield* jsonPieces(item);
    }
    if (due.length < PIECE) continue;
    yield due;
    due = '';
  }
  yield `${due}]`;
}

/** A long list that is made anew whenever it is written. */
export class LongList<T> implements Iterable<T> {
  constructor(private readonly items: () => Iterable<T>) {}

  [Symbol.iterator](): Iterator<T> {
    return this.items()[Symbol.iterator]();
  }

  toJSON(): T[] {
    return [...this];
  }
}

function isIterator(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value && !Array.isArray(value);
}

/** Whether a value is written in one go. */
export function isSmall(value: unknown): boolean {
  return countUpTo(value, VALUES) < VALUES;
}

function countUpTo(value: unknown, most: number): number {
  if (typeof value === 'string') return 1 + Math.floor(value.length / CHARACTERS);
  if (typeof value !== 'object' || value === null) return 1;
  if (isIterator(value) || value instanceof Base64Bytes) return most;
  if (Array.isArray(value) && value.length >= most) return most;
  let count = 1;
  for (const key in value) {
    count += countUpTo((value as Record<string, unknown>)[key], most - count);
    if (count >= most) return most;
  }
  return count;
}
