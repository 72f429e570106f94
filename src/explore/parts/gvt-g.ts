import type { Action } from '../scene.ts';
import type { Part } from './part.ts';

/** A guest's page tables map pages of 4 KiB, and of 2 MiB that lie in two ranges; it resets the vGPU, or goes. */
export const gvtGPart: Part = {
  rangeSize: 256,
  actions({ device, gen, pages, number }) {
    const calls = [];
    for (let range = 0; range < pages.count; range++) {
      const gfn = pages.frame(range);
      calls.push({ call: 'gvt-map-page', device, gfn, size: '4K' });
      // Of 2 MiB where its frame number is a multiple of theirs.
      if (range % 2 === 0 && range + 1 < pages.count) {
        calls.push({ call: 'gvt-map-page', device, gfn, size: '2M' });
      }
      calls.push({ call: 'gvt-unmap-page', device, gfn });
    }
    const actions: Action[] = calls.map((call) => ({ call }));
    actions.push({ call: { call: 'gvt-reset', device } });
    actions.push({ call: { call: 'gvt-set-guest', device, guest: null } });
    actions.push({ call: { call: 'gvt-set-guest', device, guest: number } });
    if (gen.drivers['gvt-g'] === '5.10') actions.push({ call: { call: 'gvt-run-work', device } });
    actions.push({ call: { call: 'remove-device', device, ifOpen: 'refuse' } });
    return actions;
  },
};
