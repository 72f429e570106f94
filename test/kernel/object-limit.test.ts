import { describe, expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import type { Host } from '../../src/host/host.ts';
import { DEFAULT_LIMITS } from '../../src/host/limits.ts';
import { GENERATIONS, type Generation } from '../../src/kernel/generations/index.ts';
import { checkSnapshot } from '../../src/snapshot/restore.ts';
import { hostOf } from '../harness/host.ts';
import { hostFrom, make, textOf } from '../snapshot/restored.ts';

const PAGE = 4096;
const LIMIT = 8192;

const BEFORE: CallObject[] = [
  { call: 'open-container', container: 'c0' },
  { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } },
  { call: 'attach', device: 'd0', container: 'c0' },
  { call: 'create-process', process: 'p1' },
];

const range = (i: number) => ({ iova: i * 2 * PAGE, size: PAGE });
const map = (i: number): CallObject => ({
  ...{ call: 'map-dma', container: 'c0', vaddr: i * PAGE, flags: 3 },
  ...range(i),
});
const region = (i: number) => ({ process: 'p1', start: i * 2 * PAGE, size: PAGE });

/** What is made, how each is given back, and whether others have to go first. */
const THINGS: [
  what: string,
  before: CallObject[],
  make: (i: number) => CallObject,
  undo: (i: number) => CallObject,
][] = [
  ['mappings', [], map, (i) => ({ call: 'unmap-dma', container: 'c0', ...range(i) })],
  [
    'pins',
    [map(0)],
    () => ({ call: 'pin-pages', device: 'd0', iova: 0, npage: 1, prot: 3 }),
    () => ({ call: 'unpin-pages', device: 'd0', iova: 0, npage: 1 }),
  ],
  [
    'memory regions',
    [],
    (i) => ({ call: 'add-memory-region', ...region(i), prot: 3 }),
    (i) => ({ call: 'remove-memory-region', ...region(i) }),
  ],
  [
    'open files',
    [],
    () => ({ call: 'open-device', device: 'd0' }),
    () => ({ call: 'close-device', device: 'd0' }),
  ],
];

const KERNELS = GENERATIONS.filter(({ version }) => ['5.10', '6.12', '6.12-iommufd'].includes(version));

function small(gen: Generation, before: readonly CallObject[] = []): Host {
  const host = hostOf(gen, { ...DEFAULT_LIMITS, objectBytes: LIMIT });
  for (const call of [...BEFORE, ...before]) expect(errnoOf(host, call)).toBeNull();
  return host;
}

/** What a call was refused with, and why; null: it was not. */
function errnoOf(host: Host, call: CallObject): string | null {
  const { end, why } = host.start(call).answer!;
  if (end.how !== 'returned') throw new Error(`${call.call} ${end.how}`);
  return typeof end.value === 'string' ? `${end.value}: ${why}` : null;
}

/** Makes things until no more fit; how many did. */
function fill(host: Host, thing: (i: number) => CallObject, from = 0): number {
  for (let i = from; ; i++) {
    const refused = errnoOf(host, thing(i));
    if (refused === null) continue;
    expect(refused).toMatch(/^ENOMEM/);
    return i;
  }
}

describe.each(KERNELS)('Linux $version', (gen) => {
  test.each(THINGS)(
    '%s beyond what a host holds are ENOMEM; what is given back can be had again',
    (_, before, thing, undo) => {
      const host = small(gen, [{ call: 'open-device', device: 'd0' }, ...before]);
      const { objects } = host.kernel;
      const { used } = objects;
      const made = fill(host, thing);
      expect(made).toBeGreaterThan(10);
      expect(objects.used).toBeLessThanOrEqual(LIMIT);
      expect(errnoOf(host, undo(made - 1))).toBeNull();
      expect(fill(host, thing, made - 1)).toBe(made);
      expect(hostFrom(textOf(host)).kernel.objects.used).toBe(objects.used);
      for (let i = made - 1; i >= 0; i--) expect(errnoOf(host, undo(i))).toBeNull();
      expect(objects.used).toBe(used);
    },
  );

  test('a fork of a process whose files or regions have no room twice is ENOMEM, and there is no child', () => {
    for (const [, , thing] of THINGS.slice(2)) {
      const process = thing(0).process ?? 'p0';
      const host = small(gen, [{ call: 'open-device', device: 'd0' }]);
      while (host.kernel.objects.used <= LIMIT * 0.6) errnoOf(host, thing(host.kernel.objects.used));
      const { used } = host.kernel.objects;
      expect(errnoOf(host, { call: 'fork-process', process, child: 'p2' })).toMatch(
        /^ENOMEM: there would be more/,
      );
      expect([host.kernel.processes.has('p2'), host.kernel.objects.used]).toEqual([false, used]);
      expect(errnoOf(host, { call: 'exit-process', process })).toBeNull();
      expect(host.kernel.objects.used).toBeLessThan(used / 2);
    }
  });

  test('a snapshot that holds more is too large', () => {
    const host = small(gen, [{ call: 'open-device', device: 'd0' }]);
    fill(host, map);
    const document = checkSnapshot(JSON.parse(textOf(host)), 'body');
    const smaller = hostOf(gen, { ...DEFAULT_LIMITS, objectBytes: LIMIT / 2 });
    expect(() => smaller.restore(document, 'body')).toThrow(`take more than ${LIMIT / 2} bytes`);
    expect(make(smaller, map(0))).toHaveProperty('problem');
  });
});
