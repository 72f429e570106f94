import { Type } from '@sinclair/typebox';
import { Refused } from '../src/machine/refused.ts';

/** A count in a query string. */
export const QueryCount = Type.String({
  pattern: '^(0|[1-9][0-9]{0,15})$',
  description: 'a non-negative integer',
});

/** How many items are wanted, in a query string. */
export const QueryLimit = Type.String({ pattern: '^[1-9][0-9]{0,15}$', description: 'a positive integer' });

/** Most items one page has. */
const PAGE_MAX = 1000;
const PAGE_DEFAULT = 100;

/** `limit` and `after` of a paged list; `after` is the `next` of the page before. */
export const PagingById = {
  limit: Type.Optional(QueryLimit),
  after: Type.Optional(Type.String({ maxLength: 64, description: 'the "next" of the page before' })),
};
export const PagingByPosition = { limit: PagingById.limit, after: Type.Optional(QueryCount) };

/** The number of items a page may have. */
function pageSize(limit: string | undefined): number {
  return Math.min(limit === undefined ? PAGE_DEFAULT : Number(limit), PAGE_MAX);
}

/**
 * A page of items: those after the item named `after`, and where the next page starts.
 *
 * @throws Refused when `after` names none: it may have been deleted, and where to go on is unknown
 */
export function pageById<T>(
  items: Iterable<readonly [string, T]>,
  query: { limit?: string; after?: string },
): { page: T[]; next?: string } {
  const size = pageSize(query.limit);
  const all = [...items];
  const at = query.after === undefined ? 0 : all.findIndex(([id]) => id === query.after) + 1;
  if (query.after !== undefined && at === 0) {
    throw Refused.badRequest(
      `querystring/after is ${JSON.stringify(query.after)}, but must be the "next" of a page: an id in the list`,
    );
  }
  return cut(all.slice(at, at + size + 1), size);
}

/**
 * A page of a long sequence, made stopping now and then; `after` is the number of items to pass over.
 *
 * @param items so many items behind the first `skip` ones
 */
export function* pageByPosition<T>(
  items: (skip: number, count: number) => Generator<void, T[]>,
  query: { limit?: string; after?: string },
): Generator<void, { page: T[]; next?: string }> {
  const size = pageSize(query.limit);
  const skip = Number(query.after ?? 0);
  const page = yield* items(skip, size + 1);
  return cut(
    page.map((item, i) => [String(skip + i + 1), item]),
    size,
  );
}

function cut<T>(items: readonly (readonly [string, T])[], size: number): { page: T[]; next?: string } {
  const page = items.slice(0, size);
  const last = page.at(-1);
  return {
    page: page.map(([, item]) => item),
    ...(items.length > size && last ? { next: last[0] } : {}),
  };
}
