import { Agent, type Dispatcher, request } from 'undici';
import { Deadline } from '../deadline.ts';
import { type ProblemBody, VfioHostError } from './error.ts';
import { toJson } from './values.ts';

/** How long a connection may take to be made, milliseconds. */
const CONNECT_MS = 5_000;
/** How long a request may take unless the client or the request says otherwise, milliseconds. */
export const DEFAULT_TIMEOUT_MS = 30_000;

/** How one request may end early. */
export interface RequestOptions {
  /** Gives the request up; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until it rejects with a `TimeoutError`; by default the client's. */
  readonly timeoutMs?: number | undefined;
}

/** How a client reaches its host. */
export interface ClientOptions {
  /** Where the host is; a path is kept as a prefix. */
  readonly url: string | URL;
  /** The rig all requests are for; without one, the host's `default`. */
  readonly rig?: string | undefined;
  /** How long one request may take, milliseconds; 30,000 unless given. A call that waits for a callback takes as long. */
  readonly timeoutMs?: number | undefined;
  /** Connections to use instead of the client's own; `close()` leaves them open. */
  readonly dispatcher?: Dispatcher | undefined;
}

/** What a request was answered, whatever the status. */
export interface RawAnswer {
  readonly status: number;
  /** The JSON body; empty where there was none. */
  readonly body: Record<string, unknown>;
}

/** What one request says. */
export interface RequestParts extends RequestOptions {
  /** Sent as JSON; a bigint as `0x…`. */
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The requests of a client. */
export class Transport {
  private readonly base: string;
  private readonly agent: Agent | null;
  private readonly dispatcher: Dispatcher;
  /** How long one request may take, milliseconds. */
  readonly timeoutMs: number;

  constructor(private readonly options: ClientOptions) {
    this.base = baseOf(options.url);
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.agent = options.dispatcher ? null : new Agent({ connect: { timeout: CONNECT_MS } });
    this.dispatcher = options.dispatcher ?? this.agent!;
  }

  /** The same connections for another rig; closing it leaves them open. */
  forRig(rig: string): ClientOptions {
    return { ...this.options, rig, dispatcher: this.dispatcher };
  }

  /** Makes a request and gives its answer, whatever the status. */
  async raw(method: string, path: string, parts: RequestParts = {}): Promise<RawAnswer> {
    const deadline = new Deadline(parts.timeoutMs ?? this.timeoutMs, parts.signal);
    try {
      const { statusCode, headers, body } = await this.send(method, path, parts, deadline.signal);
      return { status: statusCode, body: readBody(statusCode, headers, await body.text()) };
    } finally {
      deadline.end();
    }
  }

  /** Makes a request that must succeed, and gives the body of its answer. */
  async ask(method: string, path: string, parts?: RequestParts): Promise<Record<string, unknown>> {
    return succeeded(await this.raw(method, path, parts));
  }

  /** Opens a stream that must start within the time a request may take, and then may go on for ever. */
  async stream(path: string, parts: RequestParts): Promise<Dispatcher.ResponseData['body']> {
    const start = new Deadline(parts.timeoutMs ?? this.timeoutMs, parts.signal);
    try {
      const { statusCode, headers, body } = await this.send('GET', path, parts, start.signal);
      if (statusCode !== 200) {
        succeeded({ status: statusCode, body: readBody(statusCode, headers, await body.text()) });
      }
      return body;
    } finally {
      start.stopClock();
    }
  }

  private send(
    method: string,
    path: string,
    { body, query = {}, headers }: RequestParts,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) search.set(name, String(value));
    }
    const { rig } = this.options;
    return request(`${this.base}${path}${search.size > 0 ? `?${search}` : ''}`, {
      method: method as Dispatcher.HttpMethod,
      dispatcher: this.dispatcher,
      signal,
      // The signal is what limits the time.
      headersTimeout: 0,
      bodyTimeout: 0,
      headers: {
        accept: 'application/json',
        ...(rig === undefined ? {} : { 'x-rig': rig }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: toJson(body) }),
    });
  }

  /** Ends the client's own connections, and what is under way on them. */
  async close(): Promise<void> {
    await this.agent?.destroy();
  }
}

/** A host's address, without a slash at its end. Throws a TypeError where it is none: nothing is to be waited for. */
function baseOf(url: string | URL): string {
  const base = URL.canParse(String(url)) ? new URL(url) : null;
  if (base && /^https?:$/.test(base.protocol)) return String(base).replace(/\/+$/, '');
  throw new TypeError(
    `url is ${JSON.stringify(url)}, but must be an http or https URL such as http://127.0.0.1:8080`,
  );
}

/** The body of an answer that is no problem; throws VfioHostError where it is one. */
export function succeeded({ status, body }: RawAnswer): Record<string, unknown> {
  if (status >= 400) throw new VfioHostError(status, body as ProblemBody);
  return body;
}

/** Anything that is not JSON came from something in between, such as a proxy: it becomes a problem. */
function readBody(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  text: string,
): Record<string, unknown> {
  if (text === '' && status < 400) return {};
  if (/\bjson\b/.test(String(headers['content-type']))) return JSON.parse(text) as Record<string, unknown>;
  const detail = `HTTP ${status} without a JSON body: ${text.slice(0, 200)}`;
  if (status < 400) throw new TypeError(detail);
  return { type: 'about:blank', title: 'Not an answer of the host', status, detail };
}
