import type { JournalEvent } from '../../schemas/events.ts';
import { type CallResult, LazyBody, NOTHING } from '../machine/call-handler.ts';
import type { CallTask } from '../machine/call-task.ts';
import { redactCall } from '../machine/redact.ts';

type How = Extract<JournalEvent, { kind: 'answer' }>['how'];

/** What is kept of a call. Journal and trace share it, and write it out when somebody reads. */
export class CallRecord {
  /** Seq of its journal entry, and of its answer's; 0 before there is one. */
  seq = 0;
  answerSeq = 0;
  how: How = 'returned';
  errno: string | null = null;
  /** What it answered, where that is small and all there is to be said of it; null otherwise. */
  value: CallResult | null = null;
  /** locked_vm of its process when nothing moved any more, pages; null: the process has exited. */
  lockedPages: number | null = null;

  private constructor(
    readonly object: CallTask['object'],
    readonly container: string | undefined,
    readonly device: string | undefined,
    readonly reqId: string | undefined,
  ) {}

  static of({ object, container, device, reqId }: CallTask): CallRecord {
    return new CallRecord(object, container, device, reqId);
  }

  /** The call has ended. */
  end({ end, splats, invalidations, effects, writtenBack }: CallTask): void {
    this.how = end!.how;
    if (end!.how === 'deadlocked') this.errno = end!.errno;
    if (end!.how !== 'returned') return;
    const value = end!.value as CallResult;
    if (typeof value === 'string') this.errno = value;
    const isAll = splats.length === 0 && invalidations.length === 0 && !effects && !writtenBack;
    if (isAll) this.value = kept(value);
  }

  /** Its journal entry with this seq. */
  event(seq: number): JournalEvent {
    const { container, device, reqId } = this;
    const where = {
      ...(container === undefined ? {} : { container }),
      ...(device === undefined ? {} : { device }),
    };
    if (seq === this.seq) {
      const by = reqId === undefined ? {} : { reqId };
      return { seq, kind: 'call', ...where, ...by, call: redactCall(this.object) };
    }
    const { call } = this.object;
    return { seq, kind: 'answer', cause: this.seq, call, ...where, how: this.how, errno: this.errno };
  }
}

/** What an entry takes besides what its call carries, bytes. */
const ENTRY_BYTES = 400;

/** What a call takes as long as somebody keeps it, bytes: only its data may be much. */
export function bytesOf({ data }: CallTask['object']): number {
  return ENTRY_BYTES + (typeof data === 'string' ? data.length : 0);
}

/** What is kept of an answer; null where that is too much, or nobody says. */
function kept(value: CallResult): CallResult | null {
  if (value instanceof LazyBody) return value.kept();
  return typeof value === 'string' || value === NOTHING ? value : null;
}
