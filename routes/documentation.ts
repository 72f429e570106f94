import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Book } from '../src/book/book.ts';
import { below } from '../src/book/folder.ts';
import { API_PAGE } from '../src/book/page.ts';
import { headerOf } from './headers.ts';
import { noSuchRoute } from './replies.ts';
import { send } from './reply.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};
const HTML = 'text/html; charset=utf-8';

/** The viewer's own files: copied beside the compiled program, or as they were installed. */
const VIEWER = ['dist/viewer/', 'node_modules/@fastify/swagger-ui/static/'];
const VIEWER_FILES = ['swagger-ui.css', 'swagger-ui-bundle.js'];

/** Nothing but this server's own files. The viewer sets styles of its own and draws its icons as data. */
const policyOf = (styles: string, more: string) =>
  `default-src 'none'; style-src ${styles}; ${more}base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
const BOOK_POLICY = policyOf("'self'", "img-src 'self'; ");
const VIEWER_POLICY = policyOf(
  "'self' 'unsafe-inline'",
  "script-src 'self'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; ",
);

const Name = Type.Object({ name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$' }) });

/** `GET /openapi.json`, the chapters of docs/ below `GET /docs`, and at `/docs/api` a viewer of the API. */
export function documentationRoutes(app: FastifyInstance): void {
  const book = new Book();
  const hidden = { schema: { hide: true } };
  const named = { schema: { hide: true, params: Name } };
  app.get('/openapi.json', hidden, async (request, reply) =>
    sendFile(request, reply, 'application/json; charset=utf-8', await readFile(below('openapi.json'))),
  );
  const chapter = async (request: FastifyRequest, reply: FastifyReply, name: string) => {
    const page = await book.page(name);
    return page === null ? missing(request, reply) : sendPage(request, reply, page, BOOK_POLICY);
  };
  for (const url of ['/docs', '/docs/']) {
    app.get(url, hidden, (request, reply) => chapter(request, reply, 'README'));
  }
  app.get<{ Params: { name: string } }>('/docs/:name', named, (request, reply) =>
    chapter(request, reply, request.params.name),
  );
  app.get<{ Params: { name: string } }>('/docs/images/:name', named, (request, reply) => {
    const { name } = request.params;
    const picture = book.picture(name);
    return picture ? sendFile(request, reply, typeOf(name), picture) : missing(request, reply);
  });
  app.get('/docs/api', hidden, (request, reply) => sendPage(request, reply, API_PAGE, VIEWER_POLICY));
  for (const name of VIEWER_FILES) {
    app.get(`/docs/api/${name}`, hidden, async (request, reply) => {
      const source = VIEWER.map((folder) => below(`${folder}${name}`)).find((file) => existsSync(file));
      return source
        ? sendFile(request, reply, typeOf(name), await readFile(source))
        : missing(request, reply);
    });
  }
}

function typeOf(name: string): string {
  return TYPES[extname(name)] ?? 'application/octet-stream';
}

function missing(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return send(request, reply, noSuchRoute(request.method, request.url));
}

function sendPage(request: FastifyRequest, reply: FastifyReply, page: string, policy: string): FastifyReply {
  reply.header('content-security-policy', policy).header('referrer-policy', 'no-referrer');
  return sendFile(request, reply, HTML, Buffer.from(page));
}

/** Sends a file that is asked about each time, so that a new version is never mixed with an old one. */
function sendFile(request: FastifyRequest, reply: FastifyReply, type: string, body: Buffer): FastifyReply {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  reply.header('cache-control', 'no-cache').header('etag', etag).header('x-content-type-options', 'nosniff');
  if (headerOf(request, 'if-none-match') === etag) return reply.code(304).send();
  return reply.type(type).send(body);
}
