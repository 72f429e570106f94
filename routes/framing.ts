import type { FastifyInstance, FastifyRequest } from 'fastify';
import { headerOf, shownValue } from './headers.ts';

/** A request that is refused for how it comes, before anything is asked what it says. */
export class BadFraming extends Error {
  constructor(
    readonly statusCode: 400 | 415 | 417,
    message: string,
  ) {
    super(message);
  }
}

const VERSIONS = new Set(['1.0', '1.1']);

/** Refuses what would be taken for something else than its client means: coded bodies, other character sets, other targets. */
export function framing(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    const refused = refuseMessage(request) ?? refuseBody(request);
    if (refused?.statusCode === 415) reply.header('accept-encoding', 'identity');
    done(refused ?? undefined);
  });
}

function refuseMessage(request: FastifyRequest): BadFraming | null {
  const { httpVersion, url = '', method } = request.raw;
  if (!VERSIONS.has(httpVersion)) {
    return new BadFraming(400, `the request is HTTP/${httpVersion}, but must be HTTP/1.1 or HTTP/1.0`);
  }
  if (httpVersion === '1.1' && headerOf(request, 'host') === undefined) {
    return new BadFraming(400, 'host is missing, but must be there in HTTP/1.1');
  }
  if (!url.startsWith('/') && method !== 'OPTIONS') {
    return new BadFraming(400, `the target is ${shownValue(url)}, but must be a path, which begins with "/"`);
  }
  const expect = headerOf(request, 'expect');
  if (expect === undefined || expect.toLowerCase() === '100-continue') return null;
  return new BadFraming(417, `expect is ${shownValue(expect)}, but may only be "100-continue"`);
}

/** A body is UTF-8 as it is: nothing is unpacked, and nothing taken from one character set into another. */
function refuseBody(request: FastifyRequest): BadFraming | null {
  const transfer = headerOf(request, 'transfer-encoding');
  if (transfer !== undefined && transfer.toLowerCase() !== 'chunked') {
    return new BadFraming(400, `transfer-encoding is ${shownValue(transfer)}, but may only be "chunked"`);
  }
  const coding = headerOf(request, 'content-encoding');
  if (coding !== undefined && !/^(identity)?$/i.test(coding)) {
    return new BadFraming(
      415,
      `content-encoding is ${shownValue(coding)}, but a body must come as it is: "identity"`,
    );
  }
  const charset = charsetOf(headerOf(request, 'content-type'));
  if (charset === null || /^utf-?8$/i.test(charset)) return null;
  return new BadFraming(415, `the charset of content-type is ${shownValue(charset)}, but must be "utf-8"`);
}

/** Most requests have the same type as the one before. */
let last: { type: string | undefined; charset: string | null } = { type: undefined, charset: null };

/** The character set that a media type names; null where it names none. */
function charsetOf(type: string | undefined): string | null {
  if (type === last.type) return last.charset;
  const found = /;\s*charset\s*=\s*("?)(.*?)\1\s*(?:;|$)/i.exec(type ?? '');
  last = { type, charset: found?.[2] ?? null };
  return last.charset;
}
