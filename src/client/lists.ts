import type { RequestOptions, Transport } from './transport.ts';

/** Items asked for at a time; the host gives no more. */
const PAGE = 1000;

/** The items of a paged list, page by page. */
export async function* listOf<T>(
  transport: Transport,
  path: string,
  field: string,
  options: RequestOptions = {},
): AsyncGenerator<T, void> {
  let after: string | undefined;
  do {
    const page = await transport.ask('GET', path, { ...options, query: { limit: PAGE, after } });
    yield* page[field] as T[];
    after = page.next as string | undefined;
  } while (after !== undefined);
}
