import { expect, test } from 'vitest';
import { jsonPieces } from '../../src/json/pieces.ts';
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

test('what a driver has pinned is listed while the snapshot is written, not when it is taken', () => {
  const host = newHost();
  make(host, { call: 'open-container', container: 'c0' });
  make(host, { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'ignore' } });
  make(host, { call: 'attach', device: 'd0', container: 'c0' });
  make(host, { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: PAGES * 4096, flags: 3 });
  make(host, { call: 'pin-pages', device: 'd0', iova: 0, npage: PAGES, prot: 3 });
  const taken = host.snapshot(true, (items) => items as never);
  const { pins } = taken.state.devices[0]!.driverState as { pins: unknown };
  expect(Array.isArray(pins)).toBe(false);
  expect([...jsonPieces(taken)].join('')).toBe(textOf(host));
});
