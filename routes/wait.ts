import { Type } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';
import { Deadline } from '../src/deadline.ts';
import { ownTurn } from '../src/turns.ts';
import { QueryCount } from './query.ts';

/** Longest a request waits, and how long where it does not say, milliseconds. */
const WAIT_MAX_MS = 60_000;
const WAIT_DEFAULT_MS = 10_000;

/** `wait=1` and `timeoutMs` of a request that may wait for something to happen. */
export const WaitFields = {
  wait: Type.Optional(Type.Literal('1', { description: '"1"' })),
  timeoutMs: Type.Optional(
    Type.String({
      pattern: QueryCount.pattern!,
      description: `a non-negative integer: milliseconds to wait, ${WAIT_DEFAULT_MS} unless it is given; more than ${WAIT_MAX_MS} is ${WAIT_MAX_MS}`,
    }),
  ),
};

/**
 * Waits on behalf of a request.
 *
 * @param timeoutMs what the request says of its time
 * @param wait waits for what is wanted, and gives up when `over` is aborted: the time is over or the client has gone
 * @returns what to add to the answer where what was wanted has not come
 */
export async function waiting(
  { raw }: FastifyReply,
  timeoutMs: string | undefined,
  wait: (over: AbortSignal) => Promise<unknown>,
): Promise<{ timedOut?: true; timeoutMs?: number }> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  // It may have left before it comes to waiting.
  if (raw.closed) leave();
  raw.once('close', leave);
  const ms = Math.min(Number(timeoutMs ?? WAIT_DEFAULT_MS), WAIT_MAX_MS);
  const deadline = new Deadline(ms, gone.signal);
  try {
    await wait(deadline.signal);
    // Many may have waited for the same.
    await ownTurn();
    return deadline.expired ? { timedOut: true, timeoutMs: ms } : {};
  } finally {
    deadline.end();
    raw.off('close', leave);
  }
}
