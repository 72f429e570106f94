import { expect, test } from 'vitest';
import { newHost } from '../harness/host.ts';
import { hostFrom, make, textOf } from './restored.ts';

/** Mappings, and pages pinned in each of the first ones. */
const MAPPINGS = 65_535;
const PINNED = 200;
const PAGES = 512;

test('65,535 mappings and 10^5 pins are restored whole', () => {
  const host = newHost();
  make(host, { call: 'open-container', container: 'c0' });
  const driver = { type: 'synthetic', onDmaUnmap: 'unpin-range' };
  make(host, { call: 'create-device', device: 'd0', driver });
  make(host, { call: 'open-group', device: 'd0' });
  make(host, { call: 'set-container', device: 'd0', container: 'c0' });
  make(host, { call: 'set-iommu', container: 'c0', type: 3 });
  make(host, { call: 'open-device', device: 'd0' });
  const size = PAGES * 4096;
  for (let i = 0; i < MAPPINGS; i++) {
    make(host, { call: 'map-dma', container: 'c0', iova: i * size, vaddr: i * size, size, flags: 3 });
    if (i < PINNED) make(host, { call: 'pin-pages', device: 'd0', iova: i * size, npage: PAGES, prot: 3 });
  }
  const { mappingCount, pinCount } = host.machine.container('c0').view!;
  expect([mappingCount, pinCount]).toEqual([MAPPINGS, PINNED * PAGES]);
  const text = textOf(host);
  expect(textOf(hostFrom(text))).toBe(text);
});
