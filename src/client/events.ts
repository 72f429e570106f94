import type { EventKind, EventPage, JournalEvent } from '../../schemas/events.ts';
import type { RequestOptions, Transport } from './transport.ts';
import { SharedTimeout } from './wait.ts';

/** An entry of the journal of a kind; of any where K is all of them. */
export type EventOf<K extends EventKind> = Extract<JournalEvent, { kind: K }>;

/** Which entries of the journal are wanted; all of them by default. */
export interface EventQuery<K extends EventKind = EventKind> {
  /** Only entries after this seq. */
  readonly since?: number;
  readonly kind?: K;
  readonly container?: string;
  readonly device?: string;
  /** Only what calls of this name made happen. */
  readonly call?: string;
  /** Only answers with this errno; `none`: without one. */
  readonly errno?: string;
  /** Only splats of this kind. */
  readonly splat?: string;
}

/** A page of the journal. */
export type Events = EventPage;

const PATH = '/v1/events';
const NDJSON = 'application/x-ndjson';

/** The journal of a rig: everything that happened on its host, in order. */
export class EventReader {
  constructor(private readonly transport: Transport) {}

  /** The oldest entries that match, at most `limit` (1000 unless given). `truncated`: older ones are gone. */
  async list(query: EventQuery & { limit?: number } = {}, options: RequestOptions = {}): Promise<Events> {
    const page = await this.transport.ask('GET', PATH, { ...options, query: { ...query } });
    return page as unknown as Events;
  }

  /**
   * The first entry that matches, as soon as there is one. Rejects with a `TimeoutError` when there is none in time
   * (`timeoutMs` milliseconds, by default the client's), and with an Error when the rig is reset or dropped.
   */
  async wait<K extends EventKind = EventKind>(
    query: EventQuery<K> = {},
    options: RequestOptions = {},
  ): Promise<EventOf<K>> {
    const timeout = new SharedTimeout(this.transport, options);
    let { since } = query;
    for (;;) {
      const parts = { ...timeout.options(), query: { ...query, since, limit: 1, ...timeout.query() } };
      const page = (await this.transport.ask('GET', PATH, parts)) as unknown as Events;
      const [event] = page.events;
      if (event) return event as EventOf<K>;
      if (page.ended !== undefined) throw new Error(`nothing more will happen: ${page.ended}`);
      since = page.next;
    }
  }

  /**
   * What happened and what happens, live and without end; leave the loop, or abort `signal`, to close the stream.
   * `timeoutMs` is for its start alone. When the host ends it the generator returns the reason: a reset, a stop, or
   * a reader so slow that entries were dropped.
   */
  async *stream<K extends EventKind = EventKind>(
    query: EventQuery<K> = {},
    options: RequestOptions = {},
  ): AsyncGenerator<EventOf<K>, string> {
    const parts = { ...options, query: { ...query }, headers: { accept: NDJSON } };
    const body = await this.transport.stream(PATH, parts);
    body.setEncoding('utf8');
    let rest = '';
    for await (const chunk of body) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        const event = JSON.parse(line) as EventOf<K> | { kind: 'end'; reason: string };
        if (event.kind === 'end') return String((event as { reason: string }).reason);
        yield event as EventOf<K>;
      }
    }
    return 'the connection was closed';
  }
}
