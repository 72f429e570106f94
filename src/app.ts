import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  LogController,
} from 'fastify';
import { attachRoutes } from '../routes/attach.ts';
import { callRoutes } from '../routes/calls.ts';
import { hostRoutes } from '../routes/host.ts';
import { errorReply, send } from '../routes/reply.ts';
import { resourceRoutes } from '../routes/resources.ts';
import { statusRoutes } from '../routes/status.ts';
import { RequestProblem } from './calls/problem.ts';
import { explain } from './calls/validate.ts';
import { problem } from './host/answer.ts';
import type { Service } from './service.ts';
import { VERSION } from './version.ts';

/** Longest request id a client may choose, characters. */
const REQUEST_ID_MAX = 128;

/** The HTTP surface of a service: routes, strict validation, problems, OpenAPI. It does not listen. */
export async function buildApp(service: Service, log: FastifyBaseLogger): Promise<FastifyInstance> {
  let requests = 0;
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: service.config.bodyLimit,
    genReqId: (request) => {
      const chosen = request.headers['x-request-id'];
      return typeof chosen === 'string' && chosen.length <= REQUEST_ID_MAX ? chosen : `req-${++requests}`;
    },
  });
  useStrictValidation(app);
  useStrictJson(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    request.log.debug(
      { method: request.method, url: request.url, status: reply.statusCode, reqId: request.id },
      'request',
    );
  });
  app.addHook('preClose', () => service.close());
  useProblems(app);
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'vfio-host', description: 'An emulated Linux VFIO host', version: VERSION },
    },
  });
  await app.register(fastifySwaggerUi, { routePrefix: '/docs' });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  statusRoutes(app, service);
  hostRoutes(app, service);
  callRoutes(app, service);
  attachRoutes(app, service);
  resourceRoutes(app, service);
  await app.ready();
  return app;
}

/** Nothing is coerced, defaulted or dropped; a message names the value and the rule. Answers go out as they are. */
function useStrictValidation(app: FastifyInstance): void {
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    const compiled = TypeCompiler.Compile(schema);
    const where = httpPart ?? 'request';
    return (value: unknown) => {
      if (compiled.Check(value)) return { value };
      const first = compiled.Errors(value).First();
      return { error: RequestProblem.badRequest(first ? explain(first, where) : `${where} is not valid`) };
    };
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

/** An absent body is an empty object; anything else must be JSON. */
function useStrictJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, {});
    else parse(request, body as string, done);
  });
  app.addHook('preValidation', async (request) => {
    if (request.method === 'POST' && (request.body === undefined || request.body === null)) {
      request.body = {};
    }
  });
}

function useProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const known = error instanceof RequestProblem ? errorReply(error) : requestError(error);
    if (known.status >= 500 && !(error instanceof RequestProblem)) {
      request.log.error(
        { err: error, method: request.method, url: request.url, reqId: request.id },
        'failed',
      );
    }
    return send(request, reply, known);
  });
  app.setNotFoundHandler((request, reply) =>
    send(
      request,
      reply,
      problem(404, 'no-such-route', 'No such route', `${request.method} ${request.url} is not served`),
    ),
  );
}

/** What Fastify itself refuses (a body too large, broken JSON) as a problem; anything else is our fault. */
function requestError(error: FastifyError) {
  const status = error.statusCode ?? 500;
  if (status >= 500) return errorReply(error);
  if (status === 413) return problem(413, 'too-large', 'Too large', error.message);
  return problem(status, 'invalid-request', 'Malformed request', error.message);
}
