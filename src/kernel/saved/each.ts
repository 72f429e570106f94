import { PAUSE } from '../../pause.ts';

/** What `make` makes of each item, one by one as it is taken: a long list is never there as a whole. */
export function* each<A, B>(items: Iterable<A>, make: (item: A) => B): Generator<B, void, void> {
  for (const item of items) yield make(item);
}

/** The same, of a list with places to pause. */
export function* eachWithPauses<A, B>(
  items: Iterable<A | typeof PAUSE>,
  make: (item: A) => B,
): Generator<B | typeof PAUSE, void, void> {
  for (const item of items) yield item === PAUSE ? PAUSE : make(item);
}

/** The first `most` items. */
export function* upTo<T>(items: Iterable<T>, most: number): Generator<T, void, void> {
  let left = most;
  for (const item of items) {
    if (left-- <= 0) return;
    yield item;
  }
}
