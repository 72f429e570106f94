import { Readable } from 'node:stream';
import { isSmall, jsonPieces } from '../src/json/pieces.ts';
import type { ListOf } from '../src/kernel/vfio/container.ts';
import type { PAUSE } from '../src/pause.ts';
import { Turns } from '../src/turns.ts';

/** Characters that go out at a time. */
export const PIECE = 64 * 1024;

/** JSON as a line, so that a terminal's prompt does not stand behind it; a long one in pieces. */
export function lineOf(data: unknown): string | Iterable<string> {
  return isSmall(data) ? `${JSON.stringify(data)}\n` : longLine(data);
}

function* longLine(data: unknown): Generator<string, void> {
  yield* jsonPieces(data);
  yield '\n';
}

/** A list that is made while it is written: the machine stays as it is meanwhile. */
export const asWritten: ListOf = <T>(items: Iterable<T | typeof PAUSE>) => items as T[];

/** Pieces of a text, joined to some that are worth a write, each of which `expect` is told; stops after each. */
export function* collected(
  pieces: Iterable<string>,
  expect: (bytes: number) => void,
): Generator<void, string[]> {
  const all: string[] = [];
  let due = '';
  for (const piece of pieces) {
    due += piece;
    yield;
    if (due.length < PIECE) continue;
    expect(due.length);
    all.push(due);
    due = '';
  }
  return [...all, due];
}

/** What is held for streams that go out. */
const held = new WeakMap<Readable, number>();

/**
 * A text that goes out in pieces, in turns: it is never one text, however long.
 *
 * @param bytes that are held for it until it has gone out
 */
export function inTurns(pieces: Iterable<string>, bytes: number): Readable {
  const stream = Readable.from(joined(pieces, new Turns()), { objectMode: false });
  held.set(stream, bytes);
  return stream;
}

/** Bytes that are held for what is sent, until its client has taken it. */
export function bytesOfAnswer(payload: unknown): number {
  if (payload instanceof Readable) return held.get(payload) ?? 0;
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0;
}

/** Pieces joined to some that are worth a write; whoever takes them has a pause where one is due. */
export async function* joined(pieces: Iterable<string>, work: Turns): AsyncGenerator<string> {
  let due = '';
  work.begin();
  for (const piece of pieces) {
    due += piece;
    if (due.length < PIECE && !work.isOver) continue;
    yield due;
    due = '';
    if (work.isOver) await work.next();
  }
  if (due !== '') yield due;
}
