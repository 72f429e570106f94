import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import { Deadline } from '../src/deadline.ts';
import { QueryCount } from './query.ts';

/** `wait=1` and `timeoutMs` of a request that may wait for something to happen. */
export const WaitFields = {
  wait: Type.Optional(Type.Literal('1', { description: '"1"' })),
  timeoutMs: Type.Optional(QueryCount),
};

/** Longest a request waits, and how long where it does not say, milliseconds. */
const WAIT_MAX_MS = 60_000;
const WAIT_DEFAULT_MS = 10_000;

/**
 * Waits on behalf of a request.
 *
 * @param timeoutMs what the request says of its time
 * @param wait waits for what is wanted, and gives up when `over` is aborted: the time is over or the client has gone
 */
export async function waiting(
  request: FastifyRequest,
  timeoutMs: string | undefined,
  wait: (over: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  request.raw.once('close', leave);
  const deadline = new Deadline(Math.min(Number(timeoutMs ?? WAIT_DEFAULT_MS), WAIT_MAX_MS), gone.signal);
  try {
    await wait(deadline.signal);
  } finally {
    deadline.end();
    request.raw.off('close', leave);
  }
}
