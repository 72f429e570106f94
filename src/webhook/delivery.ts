import { WebhookAnswer } from '../../schemas/webhook.ts';
import type { CallbackReturn } from '../kernel/callback.ts';
import { callbackReturn } from '../machine/callback-return.ts';
import { Refused } from '../machine/refused.ts';
import { validator } from '../machine/validate.ts';

const check = validator(WebhookAnswer);

/** What a webhook's answer means: pages to unpin, then what the callback returns. */
export interface Delivered {
  readonly unpin: NonNullable<WebhookAnswer['unpin']>;
  readonly result: CallbackReturn;
}

/**
 * Reads the body of a 2xx.
 *
 * @returns what it means, or the reason why it means nothing: the callback returned then, and did nothing
 */
export function readAnswer(body: string): Delivered | { reason: string } {
  if (body.trim() === '') return { unpin: [], result: {} };
  try {
    const answer = JSON.parse(body) as WebhookAnswer;
    check(answer, 'answer');
    return { unpin: answer.unpin ?? [], result: callbackReturn(answer, 'answer') };
  } catch (error) {
    if (error instanceof Refused) return { reason: error.message };
    return { reason: 'the body of the answer is not JSON' };
  }
}
