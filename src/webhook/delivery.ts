import { WebhookAnswer } from '../../schemas/webhook.ts';
import { JsonError } from '../json/depth.ts';
import { parseSteps } from '../json/parse.ts';
import type { CallbackReturn } from '../kernel/callback.ts';
import { callbackReturn } from '../machine/callback-return.ts';
import { Refused } from '../machine/refused.ts';
import { checkSteps, validator } from '../machine/validate.ts';
import { Turns } from '../turns.ts';

const check = validator(WebhookAnswer);

/** What a webhook's answer means: pages to unpin, then what the callback returns. */
export interface Delivered {
  readonly unpin: NonNullable<WebhookAnswer['unpin']>;
  readonly result: CallbackReturn;
}

/** Why a body means nothing: the callback returned then, and did nothing. */
interface Meaningless {
  readonly reason: string;
}

/** Characters of a body from which on it is read in turns. */
const LONG = 16 * 1024;

/** Reads the body of a 2xx; a long one is a promise. */
export function readAnswer(body: string): Delivered | Meaningless | Promise<Delivered | Meaningless> {
  if (body.trim() === '') return { unpin: [], result: {} };
  if (body.length > LONG) return readLong(body);
  try {
    const answer = JSON.parse(body) as WebhookAnswer;
    check(answer, 'answer');
    return meaningOf(answer);
  } catch (error) {
    return whyNone(error);
  }
}

async function readLong(body: string): Promise<Delivered | Meaningless> {
  const turns = new Turns();
  try {
    const answer = (await turns.do(parseSteps(body, { shape: WebhookAnswer }))) as WebhookAnswer;
    const refused = await turns.do(checkSteps(WebhookAnswer, answer, 'answer'));
    return refused ? whyNone(refused) : meaningOf(answer);
  } catch (error) {
    return whyNone(error);
  }
}

function meaningOf(answer: WebhookAnswer): Delivered {
  return { unpin: answer.unpin ?? [], result: callbackReturn(answer, 'answer') };
}

function whyNone(error: unknown): Meaningless {
  if (error instanceof Refused) return { reason: error.message };
  return { reason: `the body of the answer ${error instanceof JsonError ? error.message : 'is not JSON'}` };
}
