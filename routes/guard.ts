import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Refused } from '../src/machine/refused.ts';
import { headerOf, shownValue, wellFormed } from './headers.ts';

/** Who may send requests to the service, as configured. */
interface GuardSettings {
  /** Address it listens on; empty: a Unix socket, which no browser reaches. */
  readonly host: string;
  /** Hosts that requests may be made to, besides loopback names and `host`; `any`: no rule. */
  readonly allowedHosts: readonly string[] | 'any';
  /** Empty: no token is asked for. */
  readonly authToken: string;
}

/** Names of this machine to itself. */
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Listening on these means every address. */
const WILDCARD = ['0.0.0.0', '::'];

/** Methods that change nothing. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** What probes ask for; it tells nothing. */
const OPEN_TO_ALL = new Set(['/health', '/ready']);

/** A line each: Chromium takes a line for one challenge, and asks nobody where it does not know the first word. */
const CHALLENGES = ['Basic realm="vfio-host"', 'Bearer'];

/**
 * Keeps out whom the browser of a user brings: a page of another site that sends requests here (403), one that had its
 * name resolve to this machine (421), and with a token whoever does not have it (401).
 */
export function guard(app: FastifyInstance, settings: GuardSettings): void {
  const isKnown = knownHosts(settings);
  const token = settings.authToken === '' ? null : digest(settings.authToken);
  app.addHook('onRequest', (request, reply, done) => {
    const refused = refuseHost(request, isKnown) ?? refuseOrigin(request) ?? refuseToken(request, token);
    if (refused?.kind === 'unauthorized') reply.header('www-authenticate', CHALLENGES);
    done(refused ?? undefined);
  });
}

/** Whether a Host header is one of this service's. A name without a dot is no name that a page can have. */
function knownHosts({ host, allowedHosts }: GuardSettings): (header: string) => boolean {
  if (allowedHosts === 'any' || host === '') return () => true;
  const known = new Set([...LOOPBACK, host, isIP(host) === 6 ? `[${host}]` : host, ...allowedHosts]);
  const everywhere = WILDCARD.includes(host);
  const isKnown = (name: string) =>
    known.has(name) || (everywhere && (isAddress(name) || !name.includes('.')));
  // Most requests have the same header as the one before.
  let last: string | undefined;
  return (header) => {
    if (header === last) return true;
    if (!isKnown(nameOf(header))) return false;
    last = header;
    return true;
  };
}

function isAddress(name: string): boolean {
  return isIP(name.startsWith('[') ? name.slice(1, -1) : name) !== 0;
}

/** The name in a Host header, without its port. */
function nameOf(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase();
}

function refuseHost(request: FastifyRequest, isKnown: (header: string) => boolean): Refused | null {
  const host = headerOf(request, 'host');
  if (host === undefined || isKnown(host)) return null;
  return new Refused(
    'unknown-host',
    `host is ${shownValue(host)}, which is no name of this service: ALLOWED_HOSTS has those that are`,
  );
}

/** A browser says where a request comes from; nobody else sends these headers. */
function refuseOrigin(request: FastifyRequest): Refused | null {
  const { method } = request;
  if (SAFE.has(method)) return null;
  if (headerOf(request, 'sec-fetch-site') === 'cross-site') {
    return new Refused(
      'foreign-origin',
      `sec-fetch-site is "cross-site": a page of another site may not ${method}`,
    );
  }
  const origin = headerOf(request, 'origin');
  if (origin === undefined) return null;
  const host = headerOf(request, 'host');
  if (host !== undefined && isOf(origin, host)) return null;
  return new Refused('foreign-origin', `origin is ${shownValue(origin)}, but may only be this service's own`);
}

/** Whether an origin is that of the host a request was made to. */
function isOf(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: from } = new URL(origin);
  const own = `${protocol}//${host}`;
  return URL.canParse(own) && new URL(own).host === from;
}

/** The token as a bearer's, or as the password of a browser's dialogue. Compared in constant time. */
function refuseToken(request: FastifyRequest, token: Buffer | null): Refused | null {
  if (token === null || OPEN_TO_ALL.has(request.routeOptions.url ?? '')) return null;
  const [scheme = '', value = ''] = (wellFormed(request, 'authorization') ?? '').split(' ');
  const given = /^basic$/i.test(scheme) ? passwordOf(value) : /^bearer$/i.test(scheme) ? value : '';
  if (timingSafeEqual(digest(given), token)) return null;
  return new Refused(
    'missing-token',
    'authorization must be "Bearer TOKEN", with the token of this service; in the dialogue of a browser, any name with the token as the password',
  );
}

function passwordOf(credentials: string): string {
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
