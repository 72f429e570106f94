import type { Advisory, AdvisoryKind } from '../kernel/advisories.ts';
import { ERRNO, type Errno } from '../kernel/errno.ts';
import { hex } from '../kernel/pages.ts';
import type { LogEntry } from '../kernel/splats.ts';
import type { Invalidation, Task, TaskEnd } from '../kernel/task.ts';
import type { CallResult } from './call-handler.ts';

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
  devices: readonly string[];
  iova: string;
  call: string;
  count: number;
  text: string;
}

/** What a call was answered: what it returned or how it ended, what was printed, who was called back. */
export interface Answer {
  readonly call: string;
  readonly end: TaskEnd<CallResult>;
  readonly log: readonly LogEntry[];
  readonly invalidations: readonly InvalidationEntry[];
  readonly advisories: readonly AdvisoryEntry[];
  /** Why it was refused, in words. */
  readonly why: string | null;
}

/** An HTTP status and a JSON body; a problem's body is `application/problem+json`. */
export interface Reply {
  status: number;
  body: Record<string, unknown>;
}

/** Prefix of every problem's `type`. */
export const PROBLEM_TYPE = 'urn:vfio-host:problem:';

const STATUS_OF: Readonly<Record<Errno, number>> = {
  EINVAL: 422,
  EFAULT: 422,
  E2BIG: 422,
  EOVERFLOW: 422,
  ENOTTY: 422,
  EOPNOTSUPP: 422,
  ENODEV: 422,
  EIO: 422,
  ESRCH: 422,
  EPERM: 403,
  EACCES: 403,
  ENOENT: 404,
  EEXIST: 409,
  EBUSY: 409,
  ENOSPC: 409,
  ENOMEM: 409,
  EBADF: 409,
  EDEADLK: 409,
  EAGAIN: 409,
  EMFILE: 409,
  EUSERS: 409,
};

const TITLE_OF: Readonly<Record<Errno, string>> = {
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  ESRCH: 'No such process',
  EIO: 'Input/output error',
  E2BIG: 'Argument list too long',
  EBADF: 'Bad file descriptor',
  EAGAIN: 'Resource temporarily unavailable',
  ENOMEM: 'Cannot allocate memory',
  EACCES: 'Permission denied',
  EFAULT: 'Bad address',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  ENODEV: 'No such device',
  EINVAL: 'Invalid argument',
  EMFILE: 'Too many open files',
  ENOTTY: 'Inappropriate ioctl for device',
  ENOSPC: 'No space left on device',
  EDEADLK: 'Resource deadlock avoided',
  EOVERFLOW: 'Value too large for defined data type',
  EUSERS: 'Too many users',
  EOPNOTSUPP: 'Operation not supported',
};

/** A finding in an answer's form. */
export function advisoryEntry({ kind, devices, iova, count, text }: Advisory, call: string): AdvisoryEntry {
  return { kind, devices, iova: hex(iova), call, count, text };
}

/** A callback in an answer's form. */
export function invalidationEntry({ device, iova, length }: Invalidation): InvalidationEntry {
  return { device, iova: hex(iova), length: hex(length) };
}

const NONE: readonly never[] = [];

/** What an ended task is answered. */
export function answerOf(task: Task<CallResult>): Answer {
  const { call, splats, invalidations, why } = task;
  const advisories = task.advisories.list();
  return {
    call,
    end: task.end!,
    log: splats.length === 0 ? NONE : splats.map((event) => event.entry),
    invalidations: invalidations.length === 0 ? NONE : invalidations.map(invalidationEntry),
    advisories: advisories.length === 0 ? NONE : advisories.map((advisory) => advisoryEntry(advisory, call)),
    why,
  };
}

/** The errno a call answered; null when it succeeded or did not return. */
export function errnoOf(answer: Answer): Errno | null {
  const { end } = answer;
  if (end.how === 'returned' && typeof end.value === 'string') return end.value;
  return end.how === 'deadlocked' ? end.errno : null;
}

/** What was heard on the way to an answer: the callbacks, log lines and findings, where there are any. */
export function heard({
  invalidations,
  log,
  advisories,
}: Pick<Answer, 'invalidations' | 'log' | 'advisories'>): Record<string, unknown> {
  return {
    ...(invalidations.length > 0 ? { invalidations } : {}),
    ...(log.length > 0 ? { log } : {}),
    ...(advisories.length > 0 ? { advisories } : {}),
  };
}

/** The HTTP answer to a call (API contract, section 3). */
export function toReply(answer: Answer): Reply {
  const { end, call } = answer;
  const more = heard(answer);
  switch (end.how) {
    case 'returned': {
      if (typeof end.value === 'string') {
        return errnoReply(end.value, call, `${call}: ${answer.why ?? TITLE_OF[end.value]}`, 'errno', more);
      }
      // An unmap always says whom it called, be it nobody.
      if (call === 'unmap-dma') {
        return { status: 200, body: { ...end.value, invalidations: answer.invalidations, ...more } };
      }
      const silent = answer.log === NONE && answer.advisories === NONE && answer.invalidations === NONE;
      return { status: 200, body: silent ? end.value : { ...end.value, ...more } };
    }
    case 'deadlocked':
      return errnoReply(
        end.errno,
        call,
        `${call} is part of a lock cycle: on a real kernel none of its tasks returns`,
        'deadlock',
        { splat: end.splat, ...more },
      );
    case 'killed':
      return problem(
        409,
        'kernel-bug',
        'Kernel BUG',
        `${call} ran into a BUG_ON: the caller's task is dead`,
        {
          call,
          killed: true,
          splat: end.splat,
          ...more,
        },
      );
    case 'wedged':
      return problem(
        423,
        'container-wedged',
        'Container wedged',
        `${call} needs a lock that a dead or deadlocked task holds: on a real kernel it never returns`,
        { call, splat: end.splat, ...more },
      );
    case 'crashed':
      throw end.error;
  }
}

function errnoReply(
  errno: Errno,
  call: string,
  detail: string,
  slug: string,
  more: Record<string, unknown>,
): Reply {
  const type = slug === 'errno' ? errno.toLowerCase() : slug;
  return problem(STATUS_OF[errno], type, TITLE_OF[errno], detail, {
    errno,
    errnoNumber: ERRNO[errno],
    call,
    ...more,
  });
}

/** An RFC 9457 problem. `instance`, the request's id, is added where the request is known. */
export function problem(
  status: number,
  slug: string,
  title: string,
  detail: string,
  more: Record<string, unknown> = {},
): Reply {
  return { status, body: { type: `${PROBLEM_TYPE}${slug}`, title, status, detail, ...more } };
}
