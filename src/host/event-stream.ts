import { Readable } from 'node:stream';
import type { JournalEvent } from '../../schemas/events.ts';
import { NDJSON_TYPE } from '../../schemas/values.ts';
import { Turn } from '../turns.ts';
import type { EventFilter, Journal } from './journal.ts';

/** How a stream writes an event, and the line that says why it ends. */
export interface EventFormat {
  readonly type: string;
  event(event: JournalEvent): string;
  end(reason: string): string;
}

/** One JSON object a line. */
export const NDJSON: EventFormat = {
  type: NDJSON_TYPE,
  event: (event) => `${JSON.stringify(event)}\n`,
  end: (reason) => `${JSON.stringify({ kind: 'end', reason })}\n`,
};

/** Server-sent events; the id is the seq, so that Last-Event-ID resumes. */
export const SSE: EventFormat = {
  type: 'text/event-stream',
  event: (event) => `id: ${event.seq}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`,
  end: (reason) => `event: end\ndata: ${JSON.stringify({ kind: 'end', reason })}\n\n`,
};

/** Characters from which on no more events are taken at a time. */
const TEXT_MAX = 64 * 1024;

/** Events taken from the journal at a time. */
const BATCH = 100;

/** Some events as a stream writes them; null where there are none. */
interface Page {
  /** The place in the journal, and what was wanted. */
  readonly key: string;
  readonly text: Buffer | null;
  readonly truncated: boolean;
  readonly next: number;
}

/** What was written out last, of each journal. */
const lastPages = new WeakMap<Journal, Page>();

/**
 * The journal as a live stream. It holds no queue: it reads on from the journal's ring when its reader has taken
 * what it had. A reader so slow that the ring has moved on gets the reason as its last line, and is closed.
 */
export class EventStream extends Readable {
  private since: number;
  private starved = false;
  private readonly turn = new Turn();
  /** All that it wants, wherever it stands: another reader's page is its own where this is the same. */
  private readonly wants: string;
  private readonly unlisten: () => void;

  constructor(
    private readonly journal: Journal,
    private readonly wanted: EventFilter,
    private readonly format: EventFormat,
  ) {
    super();
    this.wants = JSON.stringify([format.type, { ...wanted, since: 0, limit: BATCH }]);
    // Who asks for nothing in particular gets what is still there.
    this.since = wanted.since === 0 ? journal.oldest - 1 : wanted.since;
    this.unlisten = journal.listen(() => {
      if (this.starved) this.feed();
    });
  }

  /** Many may read at once: each has its turn. */
  override _read(): void {
    if (!this.turn.isDue()) this.feed();
    else this.turn.later(() => this.destroyed || this.feed());
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.unlisten();
    callback(error);
  }

  private feed(): void {
    const { text, truncated, next } = this.page();
    if (truncated) {
      this.finish('events were dropped before this reader took them');
      return;
    }
    this.since = next;
    this.starved = text === null;
    if (text !== null) this.push(text);
    else if (this.journal.ended !== null) this.finish(this.journal.ended);
  }

  /**
   * What comes next for it, or the first of that. For readers that stand at the same place and want the same it is written
   * out once, also where more has happened between their turns: they read on from there.
   */
  private page(): Page {
    const { journal, wanted, format, since } = this;
    const key = `${since} ${this.wants}`;
    const last = lastPages.get(journal);
    if (last?.key === key) return last;
    const { events, truncated, next } = journal.read({ ...wanted, since, limit: BATCH });
    // Not much at a time, however much an event has: a reader that does not read holds no more.
    let written = '';
    let upTo = next;
    for (const event of events) {
      written += format.event(event);
      if (written.length <= TEXT_MAX || event === events.at(-1)) continue;
      upTo = event.seq;
      break;
    }
    if (events.length === 0) return { key, text: null, truncated, next };
    const page = { key, text: Buffer.from(written), truncated, next: upTo };
    lastPages.set(journal, page);
    return page;
  }

  private finish(reason: string): void {
    this.unlisten();
    this.starved = false;
    this.push(this.format.end(reason));
    this.push(null);
  }
}

/** Resolves when as many events as said that match are there, or the journal has ended, or `given` is aborted. */
export function waitForEvents(
  journal: Journal,
  filter: EventFilter,
  count: number,
  given: AbortSignal,
): Promise<void> {
  let { since } = filter;
  let found = 0;
  return waitUntil(journal, given, () => {
    const { events, next } = journal.read({ ...filter, since, limit: count - found });
    // What has been looked at is not looked at again.
    since = next;
    found += events.length;
    return found >= count;
  });
}

/** Resolves when something holds, looked at whenever the journal grows, or the journal has ended, or `given` is aborted. */
export function waitUntil(journal: Journal, given: AbortSignal, holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      unlisten();
      given.removeEventListener('abort', done);
      resolve();
    };
    const look = () => {
      if (journal.ended !== null || holds()) done();
    };
    const unlisten = journal.listen(look);
    given.addEventListener('abort', done);
    if (given.aborted) done();
    else look();
  });
}
