import type { Static, TObject } from '@sinclair/typebox';
import type { CallbackReturnFields } from '../../schemas/drivers/external.ts';
import type { CallbackReturn } from '../kernel/callback.ts';
import { isErrno } from '../kernel/errno.ts';
import { Refused } from './refused.ts';

/**
 * What the kernel's side sees of a callback's return that somebody outside has told.
 *
 * @param where what told it, for the message
 * @throws Refused for the name of no errno
 */
export function callbackReturn(
  { notify, errno }: Static<TObject<typeof CallbackReturnFields>>,
  where: string,
): CallbackReturn {
  if (errno !== undefined && !isErrno(errno)) {
    throw Refused.badRequest(`${where}/errno is "${errno}", which is no errno`);
  }
  return { ...(notify ? { notify } : {}), ...(errno ? { errno } : {}) };
}
