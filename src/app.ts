import type { Readable } from 'node:stream';
import type { TSchema } from '@sinclair/typebox';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { AllowedMethods } from '../routes/allowed-methods.ts';
import { batchRoutes } from '../routes/batch.ts';
import { LongBody, readBody } from '../routes/body.ts';
import { boundBytes } from '../routes/bounds.ts';
import { callRoutes } from '../routes/calls.ts';
import { refuseBroken } from '../routes/connections.ts';
import { documentationRoutes } from '../routes/documentation.ts';
import { eventRoutes } from '../routes/events.ts';
import { exploreRoutes } from '../routes/explore.ts';
import { BadFraming, framing } from '../routes/framing.ts';
import { guard } from '../routes/guard.ts';
import { takeAsJson, wellFormed } from '../routes/headers.ts';
import { hostRoutes } from '../routes/host.ts';
import { kernelRoutes } from '../routes/kernels.ts';
import { metricsRoutes } from '../routes/metrics.ts';
import { badHttp, errorReply, noSuchRoute, wrongMethod } from '../routes/replies.ts';
import { jsonReply, send } from '../routes/reply.ts';
import { resourceRoutes } from '../routes/resources.ts';
import { rigRoutes } from '../routes/rigs.ts';
import { serverFor } from '../routes/server.ts';
import { setupRoutes } from '../routes/setup.ts';
import { snapshotRoutes } from '../routes/snapshot.ts';
import { statusRoutes } from '../routes/status.ts';
import { traceRoutes } from '../routes/trace.ts';
import { uiRoutes } from '../routes/ui.ts';
import { verdictRoutes } from '../routes/verdict.ts';
import { vocabularyRoutes } from '../routes/vocabulary.ts';
import { closedObject } from '../schemas/values.ts';
import { allowedHosts } from './config.ts';
import { isTooDeep, JsonError, TOO_DEEP } from './json/depth.ts';
import { parseSteps, TooManyValues } from './json/parse.ts';
import { Refused } from './machine/refused.ts';
import { checker, checkSteps, isLargeSchema } from './machine/validate.ts';
import type { Service } from './service.ts';
import { Turns } from './turns.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Media types of bodies that a route takes; application/json where it does not say. */
    takes?: readonly string[];
    /** What the API's description says of the route where its schema, which is what is checked, does not. */
    describes?: object;
  }
}

/** What no body may have. */
const PROTOTYPES = {
  pattern: /"(?:__proto__|constructor)"\s*:/,
  why: 'has a "__proto__" or "constructor.prototype", which is not a known field anywhere',
};

/** Longest message of the framework that is repeated, characters: some have the whole URL in them. */
const SHOWN_MAX = 300;

/** Longest id in a path that is looked at, characters; a longer one than an id may be is refused by its rule. */
const PARAM_MAX = 4096;

/** The query of a route that takes none. */
const NoQuery = closedObject({});

/** The HTTP surface of a service: routes, strict validation, problems, OpenAPI. It does not listen. */
export async function buildApp(service: Service, log: FastifyBaseLogger): Promise<FastifyInstance> {
  let requests = 0;
  const { config } = service;
  const app = Fastify({
    loggerInstance: sharedByRequests(log),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.bodyLimit,
    serverFactory: (handle) => serverFor(handle, config),
    clientErrorHandler: refuseBroken,
    routerOptions: { maxParamLength: PARAM_MAX },
    // A path that cannot be decoded never reaches the error handler.
    frameworkErrors: (error, request, reply) => void send(request, reply, requestError(error, request)),
    genReqId: (request) => wellFormed(request, 'x-request-id') ?? `req-${++requests}`,
  });
  app.server.on('connection', (socket) => {
    service.connections++;
    socket.once('close', () => service.connections--);
  });
  const allowed = new AllowedMethods(app);
  const host = config.socket === '' ? config.host : '';
  framing(app);
  guard(app, { host, allowedHosts: allowedHosts(config), authToken: config.authToken });
  useStrictValidation(app);
  useStrictJson(app, service);
  boundBytes(app, service);
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    // An absent body is an empty object; one that is there comes in its place.
    if (request.method === 'POST') request.body = {};
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    service.metrics.request(request.method, request.routeOptions.url, reply.statusCode, reply.elapsedTime);
    log.debug(
      { method: request.method, url: request.url, status: reply.statusCode, reqId: request.id },
      'request',
    );
    done();
  });
  app.addHook('preClose', () => service.close());
  useProblems(app, allowed);
  documentationRoutes(app);
  addRoutes(app, service);
  await app.ready();
  return app;
}

/** A logger that requests have as it is: every line names its request itself, and one for each would cost more than the call. */
function sharedByRequests(log: FastifyBaseLogger): FastifyBaseLogger {
  const shared: FastifyBaseLogger = Object.create(log, { child: { value: () => shared } });
  return shared;
}

/** Adds every route of the API. */
export function addRoutes(app: FastifyInstance, service: Service): void {
  statusRoutes(app, service);
  metricsRoutes(app, service);
  hostRoutes(app, service);
  callRoutes(app, service);
  vocabularyRoutes(app);
  eventRoutes(app, service);
  kernelRoutes(app, service);
  rigRoutes(app, service);
  traceRoutes(app, service);
  exploreRoutes(app, service);
  snapshotRoutes(app, service);
  setupRoutes(app, service);
  batchRoutes(app, service);
  resourceRoutes(app, service);
  verdictRoutes(app, service);
  uiRoutes(app, service);
}

/** Bodies so long that they are checked in turns, as those are that have a large schema. */
const longBodies = new WeakSet<object>();

async function checkLong(schema: TSchema, value: unknown, where: string): Promise<unknown> {
  const refused = await new Turns().do(checkSteps(schema, value, where));
  if (refused) throw refused;
  return value;
}

/** Nothing is coerced, defaulted or dropped; a message names the value and the rule. Answers go out as they are. */
function useStrictValidation(app: FastifyInstance): void {
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    const check = checker(schema);
    const inSteps = isLargeSchema(schema);
    const where = httpPart ?? 'request';
    return (value: unknown) => {
      if (inSteps || longBodies.has(value as object)) return checkLong(schema, value, where) as never;
      const error = check(value, where);
      return error ? { error } : { value };
    };
  });
  app.setReplySerializer(jsonReply);
  // Without this Fastify would compile every answer's schema at start.
  app.setSerializerCompiler(() => jsonReply);
  useNoQuery(app);
  useNoBody(app);
}

/** A route below /v1 takes a query only where it says so. */
function useNoQuery(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    if (!route.url.startsWith('/v1') || route.schema?.querystring) return;
    route.schema = { ...route.schema, querystring: NoQuery };
  });
}

/** Where a route checks a body by its type, an absent one is checked too: it is an empty object, as of JSON. */
function useNoBody(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const { content } = (route.schema?.body ?? {}) as { content?: object };
    if (!content) return;
    route.preValidation = (request, _reply, done) => {
      takeAsJson(request);
      done();
    };
  });
}

/** A body must be JSON, or empty. */
function useStrictJson(app: FastifyInstance, { bodies, config: { maxValues } }: Service): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', (request, payload, done) => {
    readBody(request, payload as Readable, bodies, (error, body = '') => {
      if (error) return done(error);
      if (body instanceof LongBody) {
        return void parseLong(body, jsonSchemaOf(request), maxValues).then(
          (value) => done(null, value),
          done,
        );
      }
      if (body === '') return done(null, {});
      if (isTooDeep(body)) return done(Refused.badRequest(`body ${TOO_DEEP}`));
      // It answers by its callback, at once, and takes for its own what is thrown in there.
      let parsed: [Error | null, unknown?] = [null];
      void parse(request, body, (...result) => {
        parsed = result;
      });
      const [broken, value] = parsed;
      if (broken) done(Refused.badRequest(`body ${whyNoJson(body)}`));
      else done(null, value);
    });
  });
}

/** What a route takes as JSON. */
function jsonSchemaOf(request: FastifyRequest): TSchema | undefined {
  const body = request.routeOptions.schema?.body as TSchema | undefined;
  return body?.content?.['application/json']?.schema ?? body;
}

/** A long body, parsed in turns, and remembered as one that is to be checked in turns. */
async function parseLong(body: LongBody, shape: TSchema | undefined, values: number): Promise<unknown> {
  try {
    const bounds = { refused: PROTOTYPES, values, ...(shape && { shape }) };
    const value = await new Turns().do(parseSteps(body.texts(), bounds));
    if (typeof value === 'object' && value !== null) longBodies.add(value);
    return value;
  } catch (error) {
    if (error instanceof Refused) throw error;
    if (error instanceof TooManyValues) throw Refused.tooLarge(`the body ${error.message}`);
    throw Refused.badRequest(
      `body ${error instanceof JsonError ? error.message : `is not JSON: ${(error as Error).message}`}`,
    );
  }
}

/** What is wrong with a body that the parser refused, in words. */
function whyNoJson(body: string): string {
  try {
    JSON.parse(body);
    return PROTOTYPES.why;
  } catch (error) {
    return `is not JSON: ${(error as SyntaxError).message}`;
  }
}

function useProblems(app: FastifyInstance, allowed: AllowedMethods): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const known = error instanceof Refused ? errorReply(error) : requestError(error, request);
    // A client that leaves before its body is there, or before its answer, is no failure.
    const hasLeft =
      (request.raw.destroyed && !request.raw.complete) ||
      (reply.raw.closed && error.code === 'ERR_STREAM_PREMATURE_CLOSE');
    if (known.status >= 500 && !(error instanceof Refused) && !hasLeft) {
      request.log.error(
        { err: error, method: request.method, url: request.url, reqId: request.id },
        'failed',
      );
    }
    // The rest of what is too long is not read.
    if (error.statusCode === 413 && !(error instanceof Refused)) reply.header('connection', 'close');
    return send(request, reply, known);
  });
  // At once: what a body is does not matter where nobody takes it.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) notFound(request, reply, allowed);
    else done();
  });
}

function notFound(request: FastifyRequest, reply: FastifyReply, allowed: AllowedMethods): FastifyReply {
  const { method, url } = request;
  const methods = allowed.of(url.split('?', 1)[0]!);
  if (methods.length === 0) return send(request, reply, noSuchRoute(method, url));
  return send(request, reply.header('allow', methods.join(', ')), wrongMethod(method, url, methods));
}

/** What Fastify itself refuses (a body too large, broken JSON) as a problem; anything else is our fault. */
function requestError(error: FastifyError, request: FastifyRequest) {
  const status = error.statusCode ?? 500;
  if (error instanceof BadFraming) return badHttp(status, error.message);
  if (status >= 500) return errorReply(error);
  if (status === 413) {
    const { bodyLimit } = request.routeOptions;
    return badHttp(status, `the body is larger than ${bodyLimit} bytes, the limit here`);
  }
  if (status === 415) {
    const type = wellFormed(request, 'content-type') ?? 'missing';
    const { takes = ['application/json'] } = request.routeOptions.config;
    return badHttp(status, `content-type is ${type}, but must be ${takes.join(' or ')}`);
  }
  const { message } = error;
  return badHttp(status, message.length > SHOWN_MAX ? `${message.slice(0, SHOWN_MAX)}…` : message);
}
