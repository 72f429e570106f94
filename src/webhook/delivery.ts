import { type Static, Type } from '@sinclair/typebox';
import { Address64, Int32 } from '../../schemas/values.ts';
import { RequestProblem } from '../calls/problem.ts';
import { validator } from '../calls/validate.ts';
import { ERRNO, type Errno } from '../kernel/errno.ts';
import type { CallbackReturn } from '../kernel/task.ts';

/** What a driver outside may answer a callback. Nothing at all is fine. */
export const WebhookAnswer = Type.Object(
  {
    unpin: Type.Optional(
      Type.Array(Type.Object({ iova: Address64, npage: Int32 }, { additionalProperties: false }), {
        description: 'pages to unpin on the driver’s behalf before the callback returns',
      }),
    ),
    notify: Type.Optional(
      Type.Union([Type.Literal('NOTIFY_OK'), Type.Literal('NOTIFY_BAD'), Type.Literal('NOTIFY_STOP')], {
        description: '"NOTIFY_OK", "NOTIFY_BAD" or "NOTIFY_STOP"',
      }),
    ),
    errno: Type.Optional(
      Type.Union(
        Object.keys(ERRNO).map((name) => Type.Literal(name)),
        { description: 'the name of an errno' },
      ),
    ),
  },
  { additionalProperties: false, description: 'an object with unpin, notify or errno' },
);
export type WebhookAnswer = Static<typeof WebhookAnswer>;

const check = validator(WebhookAnswer);

/**
 * Reads the body of a 2xx.
 *
 * @returns the answer, or the reason why it is none: the callback returned then, and did nothing
 */
export function readAnswer(body: string): { answer: WebhookAnswer } | { reason: string } {
  if (body.trim() === '') return { answer: {} };
  try {
    const answer = JSON.parse(body) as WebhookAnswer;
    check(answer, 'answer');
    return { answer };
  } catch (error) {
    if (error instanceof RequestProblem) return { reason: error.message };
    return { reason: 'the body of the answer is not JSON' };
  }
}

/** What the kernel's side sees of an answer. */
export function callbackReturn({ notify, errno }: WebhookAnswer): CallbackReturn {
  return { ...(notify ? { notify } : {}), ...(errno ? { errno: errno as Errno } : {}) };
}
