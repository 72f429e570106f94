/** In a list that is made as it is written: no item, but a place where whoever writes it may pause. */
export const PAUSE: unique symbol = Symbol('pause');

/** The items of a list, made at once. */
export function itemsOf<T>(list: Iterable<T | typeof PAUSE>): T[] {
  const items: T[] = [];
  for (const item of list) if (item !== PAUSE) items.push(item);
  return items;
}
