import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { MACHINE_LIMITS } from '../../src/machine/limits.ts';
import { Machine } from '../../src/machine/machine.ts';

const PAGE = 4096;
const SIZE = 1200 * PAGE;

/** How often a call of a device that has pinned `count` pages lets others have their turn. */
function turns(driver: object, count: number, pin: (page: number) => CallObject, call: CallObject): number {
  let asked = 0;
  const ask = () => ++asked === 0;
  const pauses = { begin: ask, isDue: ask, later() {} };
  const machine = new Machine(LINUX_6_1, MACHINE_LIMITS, { pauses });
  const make = (one: CallObject) => expect(machine.start(one).answer?.end.how, one.call).toBe('returned');
  make({ call: 'open-container', container: 'c0' });
  make({ call: 'create-device', device: 'd0', driver });
  make({ call: 'attach', device: 'd0', container: 'c0' });
  make({ call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: SIZE, flags: 3 });
  for (let page = 0; page < count; page++) make(pin(page));
  asked = 0;
  make(call);
  return asked;
}

const unmap = { call: 'unmap-dma', container: 'c0', iova: 0, size: SIZE };
const pinPage = (page: number) => ({
  ...{ call: 'pin-pages', device: 'd0', iova: page * PAGE, npage: 1, prot: 3 },
});
const gvtPage = (gfn: number) => ({ call: 'gvt-map-page', device: 'd0', gfn, size: '4K' });

test.each([
  ['unpins what is in the range', { type: 'synthetic', onDmaUnmap: 'unpin-range' }, pinPage, unmap],
  ['resets its device', { type: 'synthetic', onDmaUnmap: 'reset-if-overlap' }, pinPage, unmap],
  ['drops the pages of a vGPU', { type: 'gvt-g' }, gvtPage, unmap],
  ['clears the page tables of a vGPU', { type: 'gvt-g' }, gvtPage, { call: 'gvt-reset', device: 'd0' }],
])('a driver that %s lets others have their turn after 1024 pages, not before', (_, driver, pin, call) => {
  expect([900, 1100].map((count) => turns(driver, count, pin, call))).toEqual([0, 1]);
});
