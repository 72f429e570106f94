import { channelOf } from '../../kernel/generations/index.ts';
import type { Action } from '../scene.ts';
import type { Part } from './part.ts';
import { pinsOf } from './synthetic.ts';

/** A driver outside: it pins and unpins as it likes, in its callbacks too, and answers them. */
export const externalPart: Part = {
  areAlike: true,
  actions({ device, gen, pages }) {
    const starts = Array.from({ length: pages.count }, (_, range) => pages.at(range));
    const actions: Action[] = [
      ...pinsOf(device, starts),
      { call: { call: 'complete-callback', device }, when: 'outside' },
    ];
    // From 6.0 on nobody looks at what a callback returns.
    if (channelOf(gen) === 'notifier-chain') {
      actions.push({ call: { call: 'complete-callback', device, notify: 'NOTIFY_BAD' }, when: 'outside' });
    }
    return actions;
  },
};
