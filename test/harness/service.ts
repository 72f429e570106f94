import type { FastifyInstance, InjectOptions } from 'fastify';
import { type DestinationStream, pino } from 'pino';
import { buildApp } from '../../src/app.ts';
import { type Config, DEFAULT_CONFIG } from '../../src/config.ts';
import { Service } from '../../src/service.ts';
import type { Exchange } from './http-replay.ts';

/** A log line as written. */
export type LogLine = Record<string, unknown> & { level: number; msg: string };

/** A service with its app, ready for injected requests, and everything it logged. */
export interface TestService {
  app: FastifyInstance;
  service: Service;
  http: Exchange;
  lines: LogLine[];
  panics: string[];
}

/** Builds a service; `config` overrides the defaults. Close `app` when done. */
export async function startService(config: Partial<Config> = {}): Promise<TestService> {
  const lines: LogLine[] = [];
  const panics: string[] = [];
  const stream: DestinationStream = { write: (line) => void lines.push(JSON.parse(line) as LogLine) };
  const full: Config = { ...DEFAULT_CONFIG, ...config };
  const log = pino({ level: full.logLevel }, stream);
  const service = new Service(full, { log, panic: (reason) => panics.push(reason) });
  const app = await buildApp(service, log);
  return { app, service, http: injected(app), lines, panics };
}

/** Exchanges by injected requests. */
export function injected(app: FastifyInstance): Exchange {
  return async (method, url, body, headers = {}) => {
    const options: InjectOptions = { method: method as 'GET', url, headers };
    if (body !== undefined) options.payload = body as object;
    const response = await app.inject(options);
    return {
      status: response.statusCode,
      body: response.body === '' ? {} : (response.json() as Record<string, unknown>),
    };
  };
}
