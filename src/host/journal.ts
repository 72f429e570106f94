import type { EventPage, JournalEvent } from '../../schemas/events.ts';
import { Budget } from '../budget.ts';
import { Turn } from '../turns.ts';
import { bytesOf, CallRecord } from './call-record.ts';

/** An entry as it is made: a field without a value is one that is not there. */
type Made<E> = E extends unknown
  ? { [K in keyof E]: object extends Pick<E, K> ? E[K] | undefined : E[K] }
  : never;

/** An entry that is to be appended: the journal gives it its seq. */
type NewEvent = Made<JournalEvent>;

/** Which entries a reader wants. */
export interface EventFilter {
  /** Only entries after this seq. */
  since: number;
  kind?: string | undefined;
  container?: string | undefined;
  device?: string | undefined;
  /** Only what calls of this name made happen. */
  call?: string | undefined;
  /** Only answers with this errno, and faults that answer it; `none`: only answers without one. */
  errno?: string | undefined;
  /** Only splats of this kind. */
  splat?: string | undefined;
  /** At most this many. */
  limit: number;
}

/** Listeners are told no more often than this, milliseconds: many readers cost more than many calls. */
const TELL_MS = 10;

/** Everything that happened on a host, in a ring of bounded length. */
export class Journal {
  /** A call's record is in it twice: where the call began, and where it was answered. */
  private readonly ring: (JournalEvent | CallRecord)[] = [];
  private head = 0;
  private count = 0;
  private lastSeq = 0;
  private telling = false;
  /** When listeners were told last, milliseconds of the monotonic clock. */
  private toldAt = Number.NEGATIVE_INFINITY;
  private readonly listeners = new Set<() => void>();
  /** Those that are to be told. */
  private readonly untold = new Set<() => void>();
  private isTelling = false;
  private readonly turn = new Turn();
  /** Why nothing will be appended any more; null while the journal goes on. */
  ended: string | null = null;

  /**
   * @param capacity number of entries kept
   * @param budget bytes that they may take; beyond it the oldest are dropped
   * @param failed told what a listener throws, which is dropped then
   */
  constructor(
    private readonly capacity: number,
    private readonly budget: Budget = new Budget(Number.POSITIVE_INFINITY),
    private readonly failed: (error: unknown) => void = () => {},
  ) {}

  /** Seq of the newest entry; 0 before the first. */
  get seq(): number {
    return this.lastSeq;
  }

  /** Seq of the oldest entry that is kept. */
  get oldest(): number {
    return this.lastSeq - this.count + 1;
  }

  /** Appends an entry and returns its seq. */
  append(event: NewEvent): number {
    const entry = event as JournalEvent;
    entry.seq = this.lastSeq + 1;
    return this.push(entry);
  }

  /** A call begins. */
  appendCall(record: CallRecord): void {
    record.seq = this.lastSeq + 1;
    this.push(record);
  }

  /** A call is answered. */
  appendAnswer(record: CallRecord): void {
    record.answerSeq = this.lastSeq + 1;
    this.push(record);
  }

  private push(entry: JournalEvent | CallRecord): number {
    this.lastSeq++;
    if (this.count === this.capacity) this.dropOldest();
    this.ring[(this.head + this.count) % this.capacity] = entry;
    this.count++;
    this.budget.take(sizeOf(entry));
    while (this.budget.isOver && this.count > 1) this.dropOldest();
    if (this.listeners.size > 0) this.tellSoon();
    return this.lastSeq;
  }

  private dropOldest(): void {
    this.budget.give(sizeOf(this.ring[this.head]!));
    this.ring[this.head] = GONE;
    this.head = (this.head + 1) % this.capacity;
    this.count--;
  }

  /** Ends the journal: whoever waits for more is told. */
  end(why: string): void {
    this.ended = why;
    this.tell();
  }

  /** How many wait for entries, or stream them. */
  get readers(): number {
    return this.listeners.size;
  }

  /** Calls `listener` soon after appends, and at the end; returns what stops that. */
  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      this.untold.delete(listener);
    };
  }

  /** Delivery is no part of a call: it happens at once after a while of quiet, and then for all of TELL_MS together. */
  private tellSoon(): void {
    if (this.telling) return;
    this.telling = true;
    const since = performance.now() - this.toldAt;
    if (since >= TELL_MS) setImmediate(() => this.deliver());
    else setTimeout(() => this.deliver(), TELL_MS - since);
  }

  private deliver(): void {
    this.telling = false;
    this.toldAt = performance.now();
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) this.untold.add(listener);
    if (!this.isTelling) this.tellOn();
  }

  /** However many there are, others have their turn in between. */
  private tellOn(): void {
    this.isTelling = true;
    for (const listener of this.untold) {
      this.untold.delete(listener);
      try {
        listener();
      } catch (error) {
        this.listeners.delete(listener);
        this.failed(error);
      }
      if (!this.turn.isDue()) continue;
      this.turn.later(() => this.tellOn());
      return;
    }
    this.isTelling = false;
  }

  /** The oldest matching entries after `since`. */
  read(filter: EventFilter): EventPage {
    const { oldest } = this;
    const events: JournalEvent[] = [];
    const from = Math.max(filter.since + 1, oldest);
    let seq = from;
    for (; seq <= this.lastSeq && events.length < filter.limit; seq++) {
      const entry = this.ring[(this.head + seq - oldest) % this.capacity]!;
      if (!matches(entry, seq, filter)) continue;
      events.push(entry instanceof CallRecord ? entry.event(seq) : entry);
    }
    return { events, truncated: filter.since + 1 < oldest, next: seq - 1 };
  }
}

/** In place of an entry that was dropped. */
const GONE = { seq: 0, kind: 'end' } as never;

/** Bytes that an entry takes, about. A call and its answer both keep what it carries. */
function sizeOf(entry: JournalEvent | CallRecord): number {
  if (entry instanceof CallRecord) return bytesOf(entry.object);
  if (entry.kind === 'fault') return bytesOf(entry.call);
  return bytesOf({ call: '' }) + (entry.kind === 'webhook' ? (entry.webhook.answer?.length ?? 0) : 0);
}

/** In place of an errno: the call returned, and with none. */
export const NO_ERRNO = 'none';

function matches(entry: JournalEvent | CallRecord, seq: number, wanted: EventFilter): boolean {
  const { kind, container, device, call, errno, splat } = wanted;
  return (
    (kind === undefined || kindOf(entry, seq) === kind) &&
    (container === undefined || entry.container === container) &&
    (device === undefined || entry.device === device) &&
    (call === undefined || callOf(entry) === call) &&
    (errno === undefined || errnoOf(entry, seq) === errno) &&
    (splat === undefined || splatOf(entry) === splat)
  );
}

function kindOf(entry: JournalEvent | CallRecord, seq: number): JournalEvent['kind'] {
  if (!(entry instanceof CallRecord)) return entry.kind;
  return entry.seq === seq ? 'call' : 'answer';
}

/** Name of the call that an entry is about. */
function callOf(entry: JournalEvent | CallRecord): string {
  if (entry instanceof CallRecord) return entry.object.call;
  return typeof entry.call === 'string' ? entry.call : entry.call.call;
}

/** The errno that an entry has, `none` for a call that returned without one; undefined where it is about no answer. */
function errnoOf(entry: JournalEvent | CallRecord, seq: number): string | undefined {
  if (!(entry instanceof CallRecord)) return entry.kind === 'fault' ? entry.errno : undefined;
  if (entry.seq === seq) return undefined;
  return entry.errno ?? (entry.how === 'returned' ? NO_ERRNO : undefined);
}

function splatOf(entry: JournalEvent | CallRecord): string | undefined {
  return !(entry instanceof CallRecord) && entry.kind === 'splat' ? entry.splat.kind : undefined;
}
