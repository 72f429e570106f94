import { ERRNO, type Errno } from '../src/kernel/errno.ts';
import { type Answer, bodyOf, plainText, sideEffects } from '../src/machine/answer.ts';
import { type RefusalKind, type RefusalSlug, Refused } from '../src/machine/refused.ts';
import type { SetupRefused } from '../src/setup/run.ts';
import { lineOf } from './pieces.ts';

/** An HTTP status and a JSON body; a problem's body is `application/problem+json`. */
export interface Reply {
  status: number;
  body: Record<string, unknown>;
}

/** Prefix of every problem's `type`. */
const PROBLEM_TYPE = 'urn:vfio-host:problem:';

/** Status and title of every errno. */
export const OF_ERRNO: Readonly<Record<Errno, readonly [status: number, title: string]>> = {
  EINVAL: [422, 'Invalid argument'],
  EFAULT: [422, 'Bad address'],
  E2BIG: [422, 'Argument list too long'],
  EOVERFLOW: [422, 'Value too large for defined data type'],
  ERANGE: [422, 'Numerical result out of range'],
  ENOTTY: [422, 'Inappropriate ioctl for device'],
  EOPNOTSUPP: [422, 'Operation not supported'],
  ENODEV: [422, 'No such device'],
  EIO: [422, 'Input/output error'],
  ESRCH: [422, 'No such process'],
  EPERM: [403, 'Operation not permitted'],
  EACCES: [403, 'Permission denied'],
  ENOENT: [404, 'No such file or directory'],
  EEXIST: [409, 'File exists'],
  EBUSY: [409, 'Device or resource busy'],
  ENOSPC: [409, 'No space left on device'],
  ENOMEM: [409, 'Cannot allocate memory'],
  EBADF: [409, 'Bad file descriptor'],
  EDEADLK: [409, 'Resource deadlock avoided'],
  EAGAIN: [409, 'Resource temporarily unavailable'],
  EMFILE: [409, 'Too many open files'],
  EUSERS: [409, 'Too many users'],
  EADDRINUSE: [409, 'Address already in use'],
  EADDRNOTAVAIL: [409, 'Cannot assign requested address'],
};

/** Status of every kind of refusal. */
export const OF_REFUSAL: Readonly<Record<RefusalKind, number>> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  misdirected: 421,
  'too-many': 429,
  abandoned: 503,
};

/** Title of every refusal. */
export const TITLE_OF: Readonly<Record<RefusalSlug, string>> = {
  'invalid-request': 'Malformed request',
  'missing-token': 'Token missing or wrong',
  'foreign-origin': 'Request from elsewhere',
  'secrets-need-token': 'Secrets need a token',
  'no-real-memory': 'Memory is emulated',
  'not-found': 'No such resource',
  'other-container': 'In another container',
  'calls-under-way': 'Calls under way',
  'real-memory': 'Memory of a real process',
  'too-large': 'Too large',
  'unknown-host': 'Unknown host',
  'too-many': 'Too many resources',
  abandoned: 'Call abandoned',
};

/** The HTTP answer to a call. Throws what a crashed call threw. */
export function toReply(answer: Answer): Reply {
  const { end, call } = answer;
  switch (end.how) {
    case 'returned': {
      if (typeof end.value === 'object') return { status: 200, body: bodyOf(answer) };
      const [status, title] = OF_ERRNO[end.value];
      const detail = `${call}: ${answer.why ?? title}`;
      return problem(status, end.value.toLowerCase(), title, detail, {
        ...errnoFields(end.value, call),
        ...answer.writtenBack,
        ...sideEffects(answer),
      });
    }
    case 'deadlocked': {
      const [status, title] = OF_ERRNO[end.errno];
      const detail = `${call} is part of a lock cycle: on a real kernel none of its tasks returns`;
      return problem(status, 'deadlock', title, detail, {
        ...errnoFields(end.errno, call),
        splat: end.splat,
        ...sideEffects(answer),
      });
    }
    case 'killed': {
      const detail = `${call} ran into a BUG_ON: the caller's task is dead`;
      const more = { call, killed: true, splat: end.splat, ...sideEffects(answer) };
      return problem(409, 'kernel-bug', 'Kernel BUG', detail, more);
    }
    case 'wedged': {
      const detail = `${call} needs a lock that a dead or deadlocked task holds: on a real kernel it never returns`;
      const more = { call, splat: end.splat, ...sideEffects(answer) };
      return problem(423, 'container-wedged', 'Container wedged', detail, more);
    }
    case 'crashed':
      if (end.error instanceof Refused) return refusalReply(end.error);
      throw end.error;
  }
}

/** The reply to a call as a line of a batch's answer; a long one in pieces. */
export function replyLine(answer: Answer): string | Iterable<string> {
  const text = plainText(answer);
  return text === null ? lineOf(toReply(answer)) : `{"status":200,"body":${text}}\n`;
}

function errnoFields(errno: Errno, call: string) {
  return { errno, errnoNumber: ERRNO[errno], call };
}

/** The HTTP answer to a refusal. */
export function refusalReply({ kind, slug, message }: Refused): Reply {
  return problem(OF_REFUSAL[kind], slug, TITLE_OF[slug], message);
}

/** The reply to a Refused, or to whatever else went wrong: then the emulator itself is. */
export function errorReply(error: unknown): Reply {
  if (error instanceof Refused) return refusalReply(error);
  return problem(500, 'internal', 'Internal error', 'the emulator itself is wrong; its log has the details');
}

/** An RFC 9457 problem. `instance`, the request's id, is added where the request is known. */
function problem(
  status: number,
  slug: string,
  title: string,
  detail: string,
  more: Record<string, unknown> = {},
): Reply {
  return { status, body: { type: `${PROBLEM_TYPE}${slug}`, title, status, detail, ...more } };
}

/** A setup that was refused: what stood in the way, and `at` which place of it. */
export function setupReply({ where, why }: SetupRefused): Reply {
  const { status, body } = why instanceof Refused ? refusalReply(why) : toReply(why);
  return { status, body: { ...body, detail: `${where}: ${body.detail}`, at: where } };
}

/** What was asked about is not as it was expected to be: the problem says how, with all that was found. */
export function notAsExpected(detail: string, found: Record<string, unknown>): Reply {
  return problem(409, 'not-as-expected', 'Not as expected', detail, found);
}

/** As much of a URL as a message repeats. */
function shown(url: string): string {
  return url.length > 200 ? `${url.slice(0, 200)}…` : url;
}

/** A request that no route serves. */
export function noSuchRoute(method: string, url: string): Reply {
  const detail = `${method} ${shown(url)} is not served; GET /openapi.json has all that is, and /docs explains it`;
  return problem(404, 'no-such-route', 'No such route', detail);
}

/** A request with a method that its path does not take. */
export function wrongMethod(method: string, url: string, allowed: readonly string[]): Reply {
  const detail = `${method} ${shown(url)} is not served; ${allowed.join(', ')} ${allowed.length > 1 ? 'are' : 'is'}`;
  return problem(405, 'method-not-allowed', 'Method not allowed', detail);
}

/** A request that the HTTP server itself refuses, with its status. */
export function badHttp(status: number, detail: string): Reply {
  const slug: RefusalSlug = status === 413 ? 'too-large' : 'invalid-request';
  return problem(status, slug, TITLE_OF[slug], detail);
}
