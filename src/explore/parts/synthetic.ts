import type { Action } from '../scene.ts';
import type { Part } from './part.ts';

/** A test driver pins and unpins as it likes, and reads; a callback of it that is held is resumed. */
export const syntheticPart: Part = {
  areAlike: true,
  actions({ device, driver, pages }) {
    const actions: Action[] = pinsOf(device, pages.addresses());
    for (let range = 0; range < pages.count; range++) {
      actions.push({
        call: { call: 'dma-rw', device, iova: pages.at(range), write: false, length: 1 },
      });
    }
    if (driver.type === 'synthetic' && driver.holdCallbacks) {
      actions.push({ call: { call: 'resume-callbacks', device }, when: 'held' });
    }
    return actions;
  },
};

/** Pins of one page at these addresses, and what takes them back. */
export function pinsOf(device: string, addresses: Iterable<string>): Action[] {
  return [...addresses].flatMap((iova) => [
    { call: { call: 'pin-pages', device, iova, npage: 1, prot: 3 } },
    { call: { call: 'unpin-pages', device, iova, npage: 1 } },
  ]);
}
