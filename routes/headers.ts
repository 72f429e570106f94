import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { HEADERS, type HeaderName } from '../schemas/headers.ts';
import { checker } from '../src/machine/validate.ts';

/** The headers of a request, wherever they are looked at: nothing else of them is read. */
interface Headed {
  readonly headers: IncomingHttpHeaders;
}

const CHECKS = Object.fromEntries(
  Object.entries(HEADERS).map(([name, schema]) => [name, checker(schema)]),
) as Record<HeaderName, ReturnType<typeof checker>>;

/** The last value of each that was in order: most requests have the same ones as the one before. */
const last: Partial<Record<HeaderName, string>> = {};

/**
 * A header of a request; undefined where it has none.
 *
 * @throws Refused where its value breaks its rule
 */
export function headerOf({ headers }: Headed, name: HeaderName): string | undefined {
  const value = headers[name];
  if (value === undefined || value === last[name]) return value as string | undefined;
  const refused = CHECKS[name](value, name);
  if (refused) throw refused;
  last[name] = value as string;
  return value as string;
}

/** A header of a request; undefined also where its value breaks its rule, and for one that is not to be repeated. */
export function wellFormed({ headers }: Headed, name: HeaderName): string | undefined {
  const value = headers[name];
  return value === undefined || CHECKS[name](value, name) ? undefined : (value as string);
}

/** Longest value that a message repeats, characters. */
const SHOWN_MAX = 128;

/** A value as a message repeats it: no more of it than that. */
export function shownValue(value: string): string {
  return JSON.stringify(value.length > SHOWN_MAX ? `${value.slice(0, SHOWN_MAX)}…` : value);
}

/** Whether a request has a body, be it there yet or not. */
export function hasBody({ headers }: Headed): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** A request whose body has no type is taken as one of JSON. */
export function takeAsJson({ headers }: Headed): void {
  headers['content-type'] ??= 'application/json';
}

/** A target that names its host as well: that host counts, whatever the header says (RFC 9112, 3.2.2). */
export function takeTarget(request: IncomingMessage): void {
  const { url = '/' } = request;
  if (url.startsWith('/')) return;
  const named = /^https?:\/\/([^/?#]*)(.*)$/is.exec(url);
  if (!named) return;
  const [, host, path] = named;
  request.headers.host = host;
  request.url = path!.startsWith('/') ? path : `/${path}`;
}
