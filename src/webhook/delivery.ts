import { type Static, Type } from '@sinclair/typebox';
import { CallbackReturnFields } from '../../schemas/drivers.ts';
import { Address64, Int32 } from '../../schemas/values.ts';
import { RequestProblem } from '../calls/problem.ts';
import { validator } from '../calls/validate.ts';
import { type Errno, isErrno } from '../kernel/errno.ts';
import type { CallbackReturn } from '../kernel/task.ts';

/** What a driver outside may answer a callback. Nothing at all is fine. */
export const WebhookAnswer = Type.Object(
  {
    unpin: Type.Optional(
      Type.Array(Type.Object({ iova: Address64, npage: Int32 }, { additionalProperties: false }), {
        description: 'pages to unpin on the driver’s behalf before the callback returns',
      }),
    ),
    ...CallbackReturnFields,
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
    if (answer.errno !== undefined && !isErrno(answer.errno)) {
      return { reason: `answer/errno is "${answer.errno}", which is no errno` };
    }
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
