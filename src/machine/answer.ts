import type { Advisory, AdvisoryKind } from '../kernel/advisories.ts';
import type { Invalidation } from '../kernel/callback.ts';
import type { DriverEffects } from '../kernel/driver.ts';
import type { Errno } from '../kernel/errno.ts';
import { hex } from '../kernel/pages.ts';
import { type SplatReport, splatReport } from '../kernel/splat-report.ts';
import type { LogEntry, SplatEvent } from '../kernel/splats.ts';
import type { Task, TaskEnd } from '../kernel/task.ts';
import { type CallBody, type CallResult, LazyBody, NOTHING } from './call-handler.ts';

/** One callback as an answer shows it. */
export interface InvalidationEntry {
  device: string;
  iova: string;
  length: string;
}

/** A finding as an answer shows it. */
export interface AdvisoryEntry {
  kind: AdvisoryKind;
  /** Who did it, and whom it hit. */
  devices: string[];
  iova: string;
  call: string;
  count: number;
  text: string;
}

/** How a call ended; a splat is the one that killed it, or that holds what it needs for ever. */
type AnswerEnd =
  | { readonly how: 'returned'; readonly value: Errno | CallBody }
  | { readonly how: 'killed' | 'wedged'; readonly splat: SplatReport }
  | { readonly how: 'deadlocked'; readonly errno: Errno; readonly splat: SplatReport }
  | { readonly how: 'crashed'; readonly error: unknown };

/** What a call was answered: what it returned or how it ended, what was printed, who was called back. */
export interface Answer {
  readonly call: string;
  readonly end: AnswerEnd;
  readonly log: readonly LogEntry[];
  /** Its WARNs and its BUG with what they were about, in order. */
  readonly splats: readonly SplatReport[];
  readonly invalidations: readonly InvalidationEntry[];
  readonly advisories: readonly AdvisoryEntry[];
  /** What driver models did; null where that is nothing. */
  readonly effects: DriverEffects | null;
  /** How long it slept and waited for those that sleep, milliseconds of the host's own time. */
  readonly milliseconds: number;
  /** Why it was refused, in words. */
  readonly why: string | null;
  /** Fields that the kernel wrote back beside an errno; null where it wrote none. */
  readonly writtenBack: CallBody | null;
}

/** A finding in an answer's form. */
export function advisoryEntry({ kind, devices, iova, count, text }: Advisory, call: string): AdvisoryEntry {
  return { kind, devices: [...devices], iova: hex(iova), call, count, text };
}

/** A callback in an answer's form. */
export function invalidationEntry({ device, iova, length }: Invalidation): InvalidationEntry {
  return { device, iova: hex(iova), length: hex(length) };
}

/** Whether a splat is a WARN or a BUG: others say all they have to say in the log. */
function isAboutSomething({ entry: { kind } }: SplatEvent): boolean {
  return kind !== 'PR_WARN' && kind !== 'DEADLOCK';
}

const NONE: readonly never[] = [];

/** What an ended task is answered. Its parts are made when somebody looks: most of them nobody does. */
export class TaskAnswer implements Answer {
  private shownEnd: AnswerEnd | null = null;
  private shownLog: readonly LogEntry[] | null = null;
  private shownSplats: readonly SplatReport[] | null = null;

  constructor(
    private readonly task: Task & { callbacks(): readonly InvalidationEntry[] },
    readonly milliseconds: number,
  ) {}

  get call(): string {
    return this.task.call;
  }

  get end(): AnswerEnd {
    this.shownEnd ??= endOf(this.task.end as TaskEnd<CallResult>);
    return this.shownEnd;
  }

  /** What it returned as JSON, where that is the fields of an answer that nobody has looked at. */
  returnedText(): string | null {
    const { value } = this.task.end as { value?: CallResult };
    return value instanceof LazyBody ? value.text() : null;
  }

  get log(): readonly LogEntry[] {
    const { splats } = this.task;
    if (splats.length === 0) return NONE;
    this.shownLog ??= splats.map((event) => event.entry);
    return this.shownLog;
  }

  get splats(): readonly SplatReport[] {
    const { splats } = this.task;
    if (splats.length === 0) return NONE;
    this.shownSplats ??= splats.filter(isAboutSomething).map(splatReport);
    return this.shownSplats;
  }

  get invalidations(): readonly InvalidationEntry[] {
    return this.task.invalidations.length === 0 ? NONE : this.task.callbacks();
  }

  get advisories(): readonly AdvisoryEntry[] {
    const { advisories, call } = this.task;
    return advisories.length === 0 ? NONE : advisories.map((advisory) => advisoryEntry(advisory, call));
  }

  /** What a call that nobody waited for did is told when somebody does. */
  get effects(): DriverEffects | null {
    return this.task.effects;
  }

  get why(): string | null {
    return this.task.why;
  }

  get writtenBack(): CallBody | null {
    const { writtenBack } = this.task;
    return writtenBack && { size: hex(writtenBack.size) };
  }
}

/** How a call ended, with the fields of its answer. */
function endOf(end: TaskEnd<CallResult>): AnswerEnd {
  if ('splat' in end) return { ...end, splat: splatReport(end.splat) };
  if (end.how !== 'returned') return end;
  const { value } = end;
  return value instanceof LazyBody ? { how: 'returned', value: value.fields() } : { how: 'returned', value };
}

/** The errno a call answered; null when it succeeded or did not return. */
export function errnoOf(answer: Answer): Errno | null {
  const { end } = answer;
  if (end.how === 'returned' && typeof end.value === 'string') return end.value;
  return end.how === 'deadlocked' ? end.errno : null;
}

/** What happened on the way to an answer: the callbacks, log lines and findings, where there are any. */
export function sideEffects({
  invalidations,
  log,
  splats,
  advisories,
  effects,
  milliseconds,
}: Pick<Answer, 'invalidations' | 'log' | 'splats' | 'advisories' | 'effects' | 'milliseconds'>): Record<
  string,
  unknown
> {
  return {
    ...(invalidations.length > 0 ? { invalidations } : {}),
    ...(log.length > 0 ? { log } : {}),
    ...(splats.length > 0 ? { splats } : {}),
    ...(advisories.length > 0 ? { advisories } : {}),
    ...effects,
    ...(milliseconds > 0 ? { milliseconds } : {}),
  };
}

/**
 * The fields of a call's answer on success, with its side effects; of a refusal what the kernel wrote back beside it;
 * of any other answer none.
 */
export function bodyOf(answer: Answer): CallBody {
  const { end } = answer;
  if (end.how !== 'returned') return NOTHING;
  if (typeof end.value === 'string') return answer.writtenBack ?? NOTHING;
  return isSilent(answer) ? end.value : { ...end.value, ...sideEffects(answer) };
}

/** bodyOf as JSON; null where it is not all that is to be said. */
export function plainText(answer: Answer): string | null {
  return answer instanceof TaskAnswer && isSilent(answer) ? answer.returnedText() : null;
}

/** Whether nothing happened on the way to an answer. */
function isSilent({ log, advisories, invalidations, effects, milliseconds }: Answer): boolean {
  const nothing = log.length === 0 && advisories.length === 0 && invalidations.length === 0;
  return nothing && !effects && milliseconds === 0;
}
