/** What `make` makes of each item, one by one as it is taken: a long list is never there as a whole. */
export function* each<A, B>(items: Iterable<A>, make: (item: A) => B): Generator<B, void, void> {
  for (const item of items) yield make(item);
}
