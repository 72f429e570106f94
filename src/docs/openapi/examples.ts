import type { FastifyInstance, InjectOptions } from 'fastify';
import { pino } from 'pino';
import { buildApp } from '../../app.ts';
import { DEFAULT_CONFIG } from '../../config.ts';
import { Service } from '../../service.ts';
import type { Json } from './json.ts';
import { CORE_TOUR, type TourStep } from './tour.ts';
import { DRIVER_TOUR } from './tour-drivers.ts';
import { LAST_TOUR } from './tour-last.ts';

/** Most examples of one answer of one operation. */
const EXAMPLES_MAX = 3;
/** Longest list in an example: what comes after is left out. */
const SHOWN_MAX = 12;
/** Longest text in an example, characters. */
const TEXT_MAX = 1500;

/** Fields that tell a real time: 0 in examples, which are the same each time they are made. */
const TIMES = ['idleSeconds', 'seconds', 'waitingMs'];

interface Media {
  schema: Json;
  examples?: Record<string, Json>;
}
interface Operation {
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
}

/** The document with examples: the requests of the tour, and what a service really answered them. */
export async function withExamples(document: Json): Promise<Json> {
  const log = pino({ level: 'silent' });
  const app = await buildApp(new Service(DEFAULT_CONFIG, { log, panic() {} }), log);
  const operations = new Operations(document.paths as Record<string, Record<string, Operation>>);
  try {
    for (const [rig, steps] of Object.entries({ ...CORE_TOUR, ...DRIVER_TOUR, ...LAST_TOUR })) {
      for (const step of steps) await take(app, rig, step, operations);
    }
  } finally {
    await app.close();
  }
  return document;
}

async function take(
  app: FastifyInstance,
  rig: string,
  step: TourStep,
  operations: Operations,
): Promise<void> {
  const { what, method, url, bodyOf, headers = {} } = step;
  const body = bodyOf ? (await app.inject({ url: bodyOf, headers: { 'x-rig': rig } })).json() : step.body;
  const answer = await app.inject({
    method: method as 'GET',
    url,
    // The same name each time: a request more must not change every other example.
    headers: { 'x-rig': rig, 'x-request-id': 'example', ...headers },
    ...(body === undefined ? {} : { payload: body as NonNullable<InjectOptions['payload']> }),
  });
  if (what === null) {
    if (answer.statusCode >= 400) throw new Error(`${method} ${url}: ${answer.body}`);
    return;
  }
  const operation = operations.of(method, url);
  const { responses } = operation;
  const status = String(answer.statusCode);
  const response = responses[status] ?? responses[status.replace(/(?<=^4)\d\d/, 'XX')];
  if (!response) throw new Error(`${method} ${url}: ${status} is not described`);
  const isGood = answer.statusCode < 400;
  if (isGood && operation.requestBody) {
    add(operation.requestBody.content, headers['content-type'] ?? 'application/json', what, body);
  }
  const type = String(answer.headers['content-type'] ?? '').split(';')[0]!;
  if (response.content) add(response.content, type, what, exampleOf(type, answer.body));
}

/** Adds an example where there are not enough of them. */
function add(content: Record<string, Media>, type: string, what: string, value: unknown): void {
  const media = content[type];
  if (!media) throw new Error(`${what}: ${type} is not described`);
  media.examples ??= {};
  if (Object.keys(media.examples).length >= EXAMPLES_MAX) return;
  media.examples[what.replace(/[^A-Za-z0-9]+/g, '-')] = { summary: what, value };
}

function exampleOf(type: string, text: string): unknown {
  if (/json$/.test(type) && !type.includes('ndjson')) return shortened(JSON.parse(text));
  return text.length > TEXT_MAX ? text.slice(0, text.lastIndexOf('\n', TEXT_MAX) + 1) : text;
}

/** A value with its long lists cut. */
function shortened(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, SHOWN_MAX).map(shortened);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([field, inner]) => [
    field,
    TIMES.includes(field) ? 0 : shortened(inner),
  ]);
  return Object.fromEntries(fields);
}

/** The operations of a document, by the requests they serve. */
class Operations {
  private readonly patterns: readonly [RegExp, Record<string, Operation>][];

  constructor(paths: Record<string, Record<string, Operation>>) {
    this.patterns = Object.entries(paths).map(([path, item]) => [
      new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`),
      item,
    ]);
  }

  of(method: string, url: string): Operation {
    const path = url.split('?')[0]!;
    for (const [pattern, item] of this.patterns) {
      const operation = pattern.test(path) && item[method.toLowerCase()];
      if (operation) return operation;
    }
    throw new Error(`${method} ${url} is not described`);
  }
}
