import { beforeAll, describe, expect, test } from 'vitest';
import { ok, startRig, useOneRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const COUNT = 7;
const PIN_COUNT = 5;

const rig = useOneRig();
/** Seven of everything: processes p0 to p6, containers c0 to c6, devices d0 to d6, and mappings in c0. */
beforeAll(async () => {
  await rig.container(synthetic('unpin-range'));
  for (let i = 1; i < COUNT; i++) {
    await ok(rig.post('processes'));
    await ok(rig.post('containers', { container: `c${i}` }));
    await ok(rig.post('devices', { device: `d${i}`, driver: synthetic('ignore') }));
  }
  // Mapped from high to low: lists go by IOVA.
  for (let i = COUNT; i > 0; i--) await rig.map(`0x${i}0000`, '0x2000');
  for (let i = PIN_COUNT; i > 0; i--) await rig.pin(`0x${i}0000`);
});

const numbered = (letter: string) => Array.from({ length: COUNT }, (_, i) => `${letter}${i}`);

/** Each list: its path, its name in the answer, what identifies an item, and the items in order. */
const LISTS: [string, string, string, string[]][] = [
  ['processes', 'processes', 'process', numbered('p')],
  ['containers', 'containers', 'container', numbered('c')],
  ['devices', 'devices', 'device', numbered('d')],
  ['containers/c0/mappings', 'mappings', 'iova', [1, 2, 3, 4, 5, 6, 7].map((i) => `0x${i}0000`)],
  ['containers/c0/pins', 'pins', 'iova', [1, 2, 3, 4, 5].map((i) => `0x${i}0000`)],
];

describe.each(LISTS)('GET %s', (path, name, key, wanted) => {
  const keys = (items: Record<string, string>[]) => items.map((item) => item[key]);

  test('without limit gives all, in order, and no next', async () => {
    const body = await ok(rig.get(path));
    expect(keys(body[name])).toEqual(wanted);
    expect(Object.keys(body)).toEqual([name]);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('in pages of %i gives each item once', async (limit) => {
    const met: string[] = [];
    let query = `?limit=${limit}`;
    for (let pages = 0; ; pages++) {
      expect(pages).toBeLessThan(10);
      const body = await ok(rig.get(path + query));
      expect(body[name].length).toBeLessThanOrEqual(limit);
      met.push(...(keys(body[name]) as string[]));
      if (body.next === undefined) break;
      expect(body[name]).toHaveLength(limit);
      query = `?limit=${limit}&after=${encodeURIComponent(body.next)}`;
    }
    expect(met).toEqual(wanted);
  });

  test('with exactly as many as there are has no next', async () => {
    expect(await ok(rig.get(`${path}?limit=${wanted.length}`))).not.toHaveProperty('next');
  });

  test.each([
    'limit=0',
    'limit=-1',
    'limit=1.5',
    'limit=0x10',
    'limit=',
    'limit=1&limit=2',
    'after=%23none',
    'offset=1',
  ])('with %s is refused with 400', async (query) => {
    const [named] = query.split('=');
    expectProblem(await rig.get(`${path}?${query}`), { status: 400, detail: [`querystring/${named}`] });
  });
});

describe('items', () => {
  test('a page never has more than 1000, whatever limit says', async () => {
    const big = await startRig();
    try {
      await big.container(synthetic('ignore'));
      await ok(big.post('containers/c0/map-dma', { iova: 0, vaddr: 0, size: '0x800000', flags: 3 }));
      for (const iova of ['0x0', '0x200000', '0x400000']) {
        await ok(big.post('devices/d0/pin-pages', { iova, npage: 512, prot: 3 }));
      }
      const first = await ok(big.get('containers/c0/pins?limit=9007199254740991'));
      expect(first.pins).toHaveLength(1000);
      const rest = await ok(big.get(`containers/c0/pins?limit=1000&after=${first.next}`));
      expect(rest.pins).toHaveLength(536);
      expect(rest).not.toHaveProperty('next');
    } finally {
      await big.close();
    }
  });

  test('a mapping has range, vaddr, protection and the number of its pins', async () => {
    const [first] = (await ok(rig.get('containers/c0/mappings?limit=1'))).mappings;
    expect(first).toEqual({
      iova: '0x10000',
      size: '0x2000',
      vaddr: '0x10000',
      prot: ['read', 'write'],
      vaddrInvalid: false,
      iommuMapped: false,
      pins: 1,
    });
  });

  test('a pin has its exact IOVA, its frame as pin-pages answered it, and its holders', async () => {
    const again = await rig.pin('0x10000');
    const [first] = (await ok(rig.get('containers/c0/pins?limit=1'))).pins;
    expect(first).toEqual({
      iova: '0x10000',
      pfn: again.pages[0].pfn,
      refCount: 2,
      devices: [{ device: 'd0', count: 2 }],
    });
    await ok(rig.post('devices/d0/unpin-pages', { iova: '0x10000', npage: 1 }));
  });

  test('a device in a list is the device by itself', async () => {
    const { devices } = await ok(rig.get('devices'));
    expect(await ok(rig.get('devices/d0'))).toEqual(devices[0]);
    expect(devices[0]).toMatchObject({
      device: 'd0',
      group: 'g0',
      kind: 'mdev',
      driver: synthetic('unpin-range'),
      openCount: 1,
      groupOpen: true,
      container: 'c0',
    });
  });

  test('a container in a list is the container by itself', async () => {
    const { containers } = await ok(rig.get('containers'));
    expect(await ok(rig.get('containers/c0'))).toEqual(containers[0]);
    expect(containers[0]).toMatchObject({ container: 'c0', process: 'p0', open: true, groups: ['g0'] });
    expect(containers[1]).toMatchObject({ container: 'c1', iommu: null, groups: [] });
  });

  test('a process has its regions, its limit and its locked pages', async () => {
    await ok(
      rig.post('processes/p1/add-memory-region', { start: '0xfffffffffffff000', size: 4096, prot: 1 }),
    );
    await ok(rig.post('processes/p1/set-memlock', { bytes: 65536 }));
    expect(await ok(rig.get('processes/p1'))).toMatchObject({
      process: 'p1',
      memlock: '0x10000',
      capIpcLock: false,
      regions: [{ start: '0xfffffffffffff000', size: '0x1000', prot: ['read'] }],
      lockedPages: 0,
    });
    expect((await ok(rig.get('processes/p0'))).lockedPages).toBe(PIN_COUNT);
  });

  test('mappings and pins of a container without an IOMMU are none', async () => {
    expect(await ok(rig.get('containers/c1/mappings'))).toEqual({ mappings: [] });
    expect(await ok(rig.get('containers/c1/pins'))).toEqual({ pins: [] });
  });
});
