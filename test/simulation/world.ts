import type { FastifyInstance, InjectOptions } from 'fastify';
import { pino } from 'pino';
import type { Dispatcher } from 'undici';
import { buildApp } from '../../src/app.ts';
import { DEFAULT_CONFIG } from '../../src/config.ts';
import { Service } from '../../src/service.ts';
import { VirtualTime } from './virtual-time.ts';

/** A request that was made, and what came of it. */
export interface Asked {
  readonly what: string;
  /** Null until it is answered. */
  status: number | null;
  text: string;
  /** Whether the client left before. */
  left: boolean;
  /** How often it was answered. */
  answers: number;
}

/** Who carries webhooks, and who is told what must never be logged: those of the seed that runs. */
export interface Surroundings {
  readonly dispatcher: Dispatcher;
  fault(line: string): void;
}

/** How a request ends whose client has left. */
const LEFT = /aborted|Premature close/;

/** Rigs are few, so that they are dropped and made again. */
const MAX_RIGS = 8;

/** A service without a network, in virtual time. It may serve one seed after the other. */
export class World {
  readonly time = new VirtualTime();
  /** Null until it is made, and after it has stopped. */
  running: { service: Service; app: FastifyInstance } | null = null;
  surroundings: Surroundings | null = null;

  get service(): Service {
    return this.running!.service;
  }

  /** Makes the service, where there is none. */
  async start(): Promise<void> {
    if (this.running) return;
    const log = pino({ level: 'warn' }, { write: (line: string) => this.look(line) });
    const carried = ((options, handler) => this.surroundings!.dispatcher.dispatch(options, handler)) as (
      ...args: Parameters<Dispatcher['dispatch']>
    ) => boolean;
    const dispatcher = { dispatch: carried, destroy: async () => {} } as unknown as Dispatcher;
    const service = new Service(
      { ...DEFAULT_CONFIG, maxRigs: MAX_RIGS, maxJournal: 5000, maxPendingCalls: 64 },
      {
        log,
        panic: (reason) => this.surroundings!.fault(`the process would end: ${reason}`),
        agents: { checked: dispatcher, trusted: dispatcher },
      },
    );
    this.running = { service, app: await buildApp(service, log) };
  }

  private look(line: string): void {
    const { err } = JSON.parse(line) as { err?: { message: string; stack: string } };
    // The kernel's own lines have no error.
    if (err && !LEFT.test(err.message)) this.surroundings!.fault(`${err.message}\n${err.stack}`);
  }
}

/** Everybody who asks a service, and what they are still to be answered. */
export class Clients {
  readonly open = new Set<Asked>();
  /** Requests so far. */
  count = 0;
  private answered: Asked[] = [];
  /** Whoever may still leave. */
  private readonly leaving = new Map<Asked, AbortController>();

  /** Makes a request, and does not wait. */
  ask(
    world: World,
    method: string,
    url: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Asked {
    const asked: Asked = { what: `${method} ${url}`, status: null, text: '', left: false, answers: 0 };
    const gone = new AbortController();
    const options: InjectOptions = { method: method as 'GET', url, headers, signal: gone.signal };
    if (body !== undefined) options.payload = body as object;
    this.count++;
    this.open.add(asked);
    this.leaving.set(asked, gone);
    const ends = () => {
      this.open.delete(asked);
      this.leaving.delete(asked);
    };
    world.running!.app.inject(options).then(
      ({ statusCode, body: text }) => {
        ends();
        this.answered.push(asked);
        asked.answers++;
        asked.status = statusCode;
        asked.text = text;
      },
      (error: Error) => {
        ends();
        if (!asked.left) throw new Error(`${asked.what} was given up: ${error.message}`);
      },
    );
    return asked;
  }

  /** What was answered since the last time. */
  takeAnswered(): Asked[] {
    const { answered } = this;
    this.answered = [];
    return answered;
  }

  /** A client closes its connection before it has an answer. */
  leave(asked: Asked): void {
    asked.left = true;
    this.leaving.get(asked)?.abort();
  }
}
