import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { DEFAULT_LIMITS } from '../../src/host/limits.ts';
import { Refused } from '../../src/machine/refused.ts';
import { checkSnapshot } from '../../src/snapshot/restore.ts';
import { newHost } from '../harness/host.ts';
import { make } from '../snapshot/restored.ts';

/** Dirty bitmaps of two containers with such a mapping take all that a rig has. */
const PAGES = 2 ** 31 - 64;
const LIMIT = `the dirty bitmaps take more than this host's ${DEFAULT_LIMITS.dirtyBitmapBytes} bytes`;

/** Three containers, of which two track dirty pages. */
function hostOfThree() {
  const host = newHost();
  for (const i of [0, 1, 2]) {
    const calls: CallObject[] = [
      { call: 'open-container', container: `c${i}` },
      { call: 'create-device', device: `d${i}`, driver: { type: 'synthetic', onDmaUnmap: 'ignore' } },
      { call: 'attach', container: `c${i}`, device: `d${i}` },
      { call: 'map-dma', container: `c${i}`, iova: 0, vaddr: 0, size: PAGES * 4096, flags: 3 },
    ];
    for (const call of calls) expect(make(host, call)).not.toHaveProperty('problem');
  }
  const start = (i: number) => host.start({ call: 'dirty-start', container: `c${i}` } as CallObject).answer!;
  expect([0, 1].map((i) => start(i).end)).toEqual([0, 1].map(() => ({ how: 'returned', value: {} })));
  return { host, start };
}

test('the dirty bitmaps of all containers are within one limit, and what is freed can be had again', () => {
  const { host, start } = hostOfThree();
  expect(start(2)).toMatchObject({ end: { value: 'ENOMEM' }, why: expect.stringContaining(LIMIT) });
  make(host, { call: 'dirty-stop', container: 'c0' } as CallObject);
  expect(start(2).end).toEqual({ how: 'returned', value: {} });
  expect(start(0).end).toMatchObject({ value: 'ENOMEM' });
  make(host, { call: 'unmap-dma', container: 'c1', iova: 0, size: PAGES * 4096 });
  expect(start(0).end).toEqual({ how: 'returned', value: {} });
});

test('a snapshot whose dirty bitmaps take more together is too large', () => {
  const { host } = hostOfThree();
  const document = JSON.parse(JSON.stringify(host.snapshot(true)));
  host.restore(checkSnapshot(document, 'body'), 'body');
  document.state.containers[2].iommu.dirtyTracking = true;
  const restore = () => host.restore(checkSnapshot(document, 'body'), 'body');
  expect(restore).toThrow(Refused);
  expect(restore).toThrow(`containers/2/iommu/mappings/0/dirty: ${LIMIT.replace('the ', '')}`);
});
