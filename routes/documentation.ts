import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** `GET /openapi.json` and the pages of `GET /docs`, by an app that is made when it is first asked for. */
export function documentationRoutes(app: FastifyInstance, make: () => Promise<FastifyInstance>): void {
  let made: Promise<FastifyInstance> | null = null;
  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    made ??= make();
    const { statusCode, headers, rawPayload } = await (await made).inject({ url: request.url });
    for (const name of ['content-type', 'location', 'cache-control', 'etag', 'last-modified']) {
      if (headers[name] !== undefined) reply.header(name, headers[name]);
    }
    return reply.code(statusCode).send(rawPayload);
  };
  for (const url of ['/openapi.json', '/docs', '/docs/*']) app.get(url, { schema: { hide: true } }, handler);
  app.addHook('onClose', async () => (await made)?.close());
}
