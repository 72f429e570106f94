import { afterEach, expect, test } from 'vitest';
import { sceneOf } from '../../src/explore/alphabet.ts';
import { OutsideSearch } from '../../src/explore/outside.ts';
import { LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { type DriverServer, driverServer } from '../harness/driver-server.ts';

const PAGE = 4096n;
let driver: DriverServer;
afterEach(() => driver.close());

/** A driver of one device that keeps count of its pins; `wanted` are those it gives back at an invalidation. */
async function startDriver(wanted: (pins: bigint[], start: bigint, end: bigint) => bigint[]): Promise<void> {
  let pins: bigint[] = [];
  driver = await driverServer(({ body }, response) => {
    const iova = BigInt((body.iova as string | undefined) ?? 0);
    let unpin: { iova: string; npage: number }[] = [];
    if (body.call === 'open-device' || body.call === 'close-device') pins = [];
    else if (body.call === 'pin-pages') pins.push(iova);
    else if (body.call === 'unpin-pages')
      pins = pins.filter((pin, i) => pin !== iova || pins.indexOf(pin) !== i);
    else if (body.call === 'dma-unmap') {
      const going = wanted(pins, iova, iova + BigInt(body.length as string));
      pins = pins.filter((pin) => !going.includes(pin));
      unpin = going.map((pin) => ({ iova: `0x${pin.toString(16)}`, npage: 1 }));
    }
    response.end(JSON.stringify({ unpin }));
  });
}

/** What the explorer finds of it. */
function search(goal: string | null, depth: number, time = 60) {
  const scene = sceneOf(LINUX_6_1, {
    drivers: [{ type: 'webhook', url: driver.url, openDevice: true, closeDevice: true }],
    pages: 2,
    mappings: 1,
  });
  const searching = new OutsideSearch(scene, { depth, time, memory: 0 }, goal, () => performance.now());
  return { scene, searching };
}

test('a driver that looks at the first page alone: the pin in the second is the BUG_ON', async () => {
  await startDriver((pins, start) => pins.filter((pin) => pin >= start && pin < start + PAGE));
  const { scene, searching } = search('BUG_ON', 4);
  const { ended, hits } = await searching.run(() => false);
  expect(ended).toBe('goal');
  const calls = hits[0]!.path.map((action) => scene.actions[action]!.call);
  expect(calls.map(({ call }) => call)).toEqual(['map-dma', 'pin-pages', 'unmap-dma']);
  expect([calls[0]!.size, calls[1]!.iova]).toEqual(['0x2000', '0x201000']);
  expect(searching.failed).toEqual([]);
});

test('of a driver that lets go what it holds in the range there is none within the bounds; each path begins anew', async () => {
  await startDriver((pins, start, end) => pins.filter((pin) => pin >= start && pin < end));
  const { searching } = search('BUG_ON', 3);
  const { ended, hits, transitions } = await searching.run(() => false);
  expect([ended, hits]).toEqual(['depth', []]);
  const opened = driver.received.filter(({ body }) => body.call === 'open-device').length;
  expect(opened).toBeGreaterThan(transitions);
});

test('it can be stopped, and a driver that does not answer is told of', async () => {
  await startDriver(() => []);
  const { searching } = search(null, 9);
  await driver.close();
  let paths = 0;
  const { ended, transitions } = await searching.run(() => ++paths > 3);
  expect([ended, transitions]).toEqual(['stopped', 3]);
  expect(searching.failed[0]).toContain(`${driver.url}: `);
});
