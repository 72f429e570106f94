import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Id } from '../schemas/values.ts';
import { Refused } from '../src/machine/refused.ts';
import type { Rig } from '../src/rig/rig.ts';
import { DEFAULT_RIG } from '../src/rig/rigs.ts';
import type { Service } from '../src/service.ts';
import { describeContainer } from '../src/views/container.ts';
import { layoutOf } from '../src/views/layout.ts';
import { RIG_HEADER } from './rig-of.ts';

/** The page's files and their media types; nothing else of the folder is served. */
const FILES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
  'card.js': 'text/javascript; charset=utf-8',
  'feed.js': 'text/javascript; charset=utf-8',
  'layout.js': 'text/javascript; charset=utf-8',
  'log.js': 'text/javascript; charset=utf-8',
  'main.js': 'text/javascript; charset=utf-8',
  'rounds.js': 'text/javascript; charset=utf-8',
  'strip.js': 'text/javascript; charset=utf-8',
  'table.js': 'text/javascript; charset=utf-8',
  'words.js': 'text/javascript; charset=utf-8',
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

const NoQuery = Type.Object({}, { additionalProperties: false });

interface Page {
  readonly body: Buffer;
  readonly etag: string;
}
const pages = new Map<string, Page>();

/** A file of the page; `ui` lies one folder above this file, two above the compiled one. */
function pageOf(name: string): Page {
  const known = pages.get(name);
  if (known) return known;
  for (const path of [`../ui/${name}`, `../../ui/${name}`]) {
    try {
      const body = readFileSync(new URL(path, import.meta.url));
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
      const page = { body, etag };
      pages.set(name, page);
      return page;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`ui/${name} is missing`);
}

/** `GET /`: a page that shows a rig's containers live, and what only the page needs. */
export function uiRoutes(app: FastifyInstance, service: Service): void {
  const serve = (url: string, name: string) =>
    app.get(url, { schema: { hide: true, querystring: NoQuery } }, (request, reply) =>
      sendPage(request, reply, name),
    );
  for (const name of Object.keys(FILES)) serve(name === 'index.html' ? '/' : `/ui/${name}`, name);
  app.get<{ Params: { container: string } }>(
    '/ui/containers/:container/layout',
    { schema: { hide: true, params: Type.Object({ container: Id }), querystring: NoQuery } },
    (request, reply) => {
      reply.header('cache-control', 'no-store');
      return containerLayout(watched(service, request), request.params.container);
    },
  );
}

function sendPage(request: FastifyRequest, reply: FastifyReply, name: string): FastifyReply {
  const { body, etag } = pageOf(name);
  reply
    .header('content-security-policy', CONTENT_SECURITY_POLICY)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-opener-policy', 'same-origin')
    // Asked about each time, so that a new version is never mixed with an old one.
    .header('cache-control', 'no-cache')
    .header('etag', etag);
  const given = request.headers['if-none-match'];
  if (given?.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)) return reply.code(304).send();
  return reply.type(FILES[name]!).send(body);
}

/** The rig that is looked at: looking makes none, and is no use of one. */
function watched(service: Service, request: FastifyRequest): Rig {
  const name = String(request.headers[RIG_HEADER] ?? DEFAULT_RIG);
  const rig = service.rigs.list().find((one) => one.name === name);
  if (!rig) throw Refused.notFound('rig', name);
  return rig;
}

/** A container with everything in its IOVA space, in columns. `seq`: the journal's when it was so. */
function containerLayout({ name, host }: Rig, id: string) {
  const container = host.machine.container(id);
  return {
    rig: name,
    seq: host.journal.seq,
    ...describeContainer(container),
    ...layoutOf(container.view),
  };
}
