import { CallbackReturnFields } from '../drivers/external.ts';
import { synthetic } from '../drivers/synthetic.ts';
import { call } from './entry.ts';

/** What a driver’s callbacks do, and when they return. */
export const callbackCalls = {
  'set-driver': call({
    about: 'Changes how a synthetic driver behaves while it runs.',
    on: 'device',
    args: { driver: synthetic.config },
    answer: { driver: synthetic.config },
  }),
  'resume-callbacks': call({
    about: 'Resumes a held callback of a synthetic driver, and holds no more.',
    on: 'device',
    by: 'driver',
  }),
  'complete-callback': call({
    about: 'Completes the callback that a `manual` driver (or a webhook) is in, with what it returns.',
    on: 'device',
    by: 'driver',
    args: CallbackReturnFields,
  }),
};
