import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { type TObject, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { closedObject, Id } from '../schemas/values.ts';
import { layoutOf } from '../src/page/layout.ts';
import { overviewOf } from '../src/page/overview.ts';
import type { Rig } from '../src/rig/rig.ts';
import { DEFAULT_RIG } from '../src/rig/rigs.ts';
import type { Service } from '../src/service.ts';
import { headerOf } from './headers.ts';

/** Media types of the page's files; nothing else of the folder is served. */
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.js': 'text/javascript; charset=utf-8',
};

/** Nothing but this server's own files; no inline script or style, no frames, no markup made from strings. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

const NoQuery = closedObject({});
/** The page itself reads which rig it shows. */
const PageQuery = closedObject({ rig: Type.Optional(Type.String()) });

interface Page {
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}
const pages = new Map<string, Page>();

/** The folder `ui`: one above this file, two above the compiled one. */
const FOLDER = ['../ui/', '../../ui/']
  .map((path) => new URL(path, import.meta.url))
  .find((folder) => existsSync(new URL('index.html', folder)));

/** A file of the page. */
function pageOf(name: string): Page {
  const known = pages.get(name);
  if (known) return known;
  const body = readFileSync(new URL(name, FOLDER));
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  const page = { type: TYPES[extname(name)]!, body, etag };
  pages.set(name, page);
  return page;
}

/** `GET /`: a page that shows a rig's containers live, and what only the page needs. */
export function uiRoutes(app: FastifyInstance, service: Service): void {
  if (!FOLDER) throw new Error('the folder ui is missing');
  for (const name of readdirSync(FOLDER).filter((one) => extname(one) in TYPES)) {
    const isPage = name === 'index.html';
    const querystring = isPage ? PageQuery : NoQuery;
    app.get(isPage ? '/' : `/ui/${name}`, { schema: { hide: true, querystring } }, (request, reply) =>
      sendPage(request, reply, name),
    );
  }
  // Looking makes no rig and is no use of one. What is gone is no error to whoever only looks: 204.
  const look = (
    url: string,
    params: TObject,
    show: (rig: Rig, params: Record<string, string>) => object | null,
  ) =>
    app.get<{ Params: Record<string, string> }>(
      url,
      { schema: { hide: true, params, querystring: NoQuery } },
      (request, reply) => {
        const rig = watched(service, request);
        const shown = rig && show(rig, request.params);
        reply.header('cache-control', 'no-store');
        return shown ?? reply.code(204).send();
      },
    );
  look('/ui/rig', Type.Object({}), overviewOf);
  look('/ui/containers/:container/layout', Type.Object({ container: Id }), (rig, params) => {
    const container = rig.host.kernel.containers.get(params.container!);
    return container ? layoutOf(rig, container) : null;
  });
}

function sendPage(request: FastifyRequest, reply: FastifyReply, name: string): FastifyReply {
  const { type, body, etag } = pageOf(name);
  reply
    .header('content-security-policy', CONTENT_SECURITY_POLICY)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-opener-policy', 'same-origin')
    // Asked about each time, so that a new version is never mixed with an old one.
    .header('cache-control', 'no-cache')
    .header('etag', etag);
  const given = headerOf(request, 'if-none-match');
  if (given?.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)) return reply.code(304).send();
  return reply.type(type).send(body);
}

/** The rig that is looked at; undefined where there is none. The default one is always there. */
function watched(service: Service, request: FastifyRequest): Rig | undefined {
  const name = headerOf(request, 'x-rig') ?? DEFAULT_RIG;
  const rig = service.rigs.list().find((one) => one.name === name);
  return rig ?? (name === DEFAULT_RIG ? service.rigs.use(name) : undefined);
}
