import { expect, test } from 'vitest';
import { PageTree } from '../../src/drivers/gvt-g/page-tree.ts';
import { modelOf } from '../../src/drivers/index.ts';
import { QueueTable, VfioApQueue } from '../../src/drivers/vfio-ap/queue.ts';
import { generationOf, LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { hexAddress } from '../../src/kernel/pages.ts';
import { restoreProcesses } from '../../src/kernel/saved/process.ts';
import { MACHINE_LIMITS } from '../../src/machine/limits.ts';
import { Machine } from '../../src/machine/machine.ts';
import { restoreSteps } from '../../src/snapshot/restore.ts';
import { newHost } from '../harness/host.ts';
import { withDevice } from './one-device.ts';
import { make, textOf } from './restored.ts';

// biome-ignore lint/suspicious/noExplicitAny: parts of a snapshot are filled by hand
type Json = any;

const VERSION = '6.12-iommufd';
const IGNORE = { type: 'synthetic', onDmaUnmap: 'ignore' };
const upTo = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));

/** How often restoring stops on its way. */
function stops(document: Json): number {
  const machine = new Machine(generationOf(document.kernel)!, MACHINE_LIMITS);
  return [...restoreSteps(machine, document, 'body')].length;
}

/** Queues that are all of adapters 0 to 3, bound and linked to d0 as far as its first `linked`. */
function queues(state: Json, linked: number): void {
  const ap = state.models['vfio-ap'];
  const [mdev] = ap.mdevs;
  const none = { savedIova: null, savedIsc: null, resetResponse: 0 };
  ap.queues = upTo(2048, (apqn) => ({ apqn, bound: true, mdev: apqn < linked ? 'd0' : null, ...none }));
  const table = new QueueTable();
  for (const apqn of upTo(linked, (i) => i)) table.add(new VfioApQueue(apqn));
  mdev.linked = table.list().map(({ apqn }) => apqn);
}

/**
 * What there are many of; how often restoring stops for 1024 of them more, beside what it does anyway; the snapshot, and how it
 * comes to have so many.
 */
const CASES: [string, number, () => Json, (state: Json, count: number) => void][] = [
  [
    'keys that a matrix mdev has pinned',
    4,
    () => withDevice({ type: 'vfio-ap', queues: [0] }),
    (s, n) => (s.models['vfio-ap'].mdevs[0].pinned = upTo(n, (i) => hexAddress(i + 1))),
  ],
  [
    'queues that are linked to a matrix mdev',
    4,
    () => withDevice({ type: 'vfio-ap', queues: [0] }),
    (s, n) => queues(s, n),
  ],
  [
    'queues of a host',
    4,
    () => withDevice({ type: 'vfio-ap', queues: [0] }),
    (s, n) => {
      queues(s, 0);
      s.models['vfio-ap'].queues.length = n;
    },
  ],
  [
    'pages with contents of a process',
    4,
    () => withDevice(IGNORE),
    (s, n) => (s.processes[0].contents = upTo(n, (i) => ({ page: hexAddress(i), content: 7 }))),
  ],
  [
    'files of a device, looked at before the containers are there and after',
    1 + 1,
    () => withDevice(IGNORE),
    (s, n) => {
      const { opener } = s.files.find(({ of }: Json) => of === 'device');
      s.files = s.files.filter(({ of }: Json) => of !== 'device');
      const others = s.files.length;
      for (let i = 0; i < n; i++) s.files.push({ of: 'device', id: 'd0', opener });
      s.processes[0].files = upTo(others + n, (i) => [i, i]);
      s.devices[0].openCount = n;
    },
  ],
  [
    'mappings of iommufd, and once more to add up what they are charged for',
    4 + 1,
    () => withDevice(IGNORE, [], VERSION),
    (s, n) => {
      const [area] = s.containers[0].ioas.areas;
      const at = hexAddress;
      s.containers[0].ioas.areas = upTo(n, (i) => ({ ...area, iova: at(i), vaddr: at(i), size: '0x1000' }));
    },
  ],
  [
    'pins of a mapping of iommufd',
    2,
    () => withDevice(IGNORE, [], VERSION),
    (s, n) => {
      const [area] = s.containers[0].ioas.areas;
      area.size = '0x800000';
      area.pins = upTo(n, (i) => ({ iova: hexAddress(i), npage: 1, holders: [[0, 1]] }));
    },
  ],
];

test.each(CASES)('%s: restoring stops %i times more for 1024 more', (_, expected, document, fill) => {
  const of = (count: number) => {
    const one = document();
    fill(one.state, count);
    return stops(one);
  };
  expect(of(1025) - of(1)).toBe(expected);
});

/** Pages of a vGPU: its cache, and the tree of their DMA addresses. */
function pagesOf(count: number): Json {
  const tree = new PageTree('pfn');
  for (let i = 0; i < count; i++) tree.add({ gfn: i, size: '4K', pfn: i, ref: 1 });
  const gfn = (i: number) => `0x${i.toString(16)}`;
  return {
    guest: null,
    cache: upTo(count, (i) => ({ gfn: gfn(i), size: '4K', dmaAddr: hexAddress(i), ref: 1 })),
    dmaAddrs: [...tree.inOrder()].map(({ page, depth, red }) => ({ gfn: gfn(page.gfn), depth, red })),
    gtt: [],
  };
}

/** What a driver remembers so many of; how often it stops while they are checked and while they are restored. */
test.each<[string, object, number, number, (saved: Json, count: number) => Json]>([
  [
    'pins',
    IGNORE,
    4,
    1,
    (saved, n) => ({ ...saved, pins: upTo(n, (i) => ({ iova: hexAddress(i), times: 1 })) }),
  ],
  // Their order, their addresses, the tree and its shape; the cache, once between, the shape again.
  ['pages', { type: 'gvt-g' }, 4 + 4 + 4 + 3, 4 + 1 + 3, (_, n) => pagesOf(n)],
  [
    'entries',
    { type: 'gvt-g' },
    4,
    1 + 4,
    (_, n) => ({
      ...pagesOf(0),
      gtt: upTo(n, (i) => ({ gfn: `0x${i.toString(16)}`, size: '4K', dmaAddr: '0x0', times: 1 })),
    }),
  ],
  [
    'arrays',
    { type: 'vfio-ccw' },
    0,
    4,
    (saved, n) => ({ ...saved, program: { orb: saved.orb ?? {}, arrays: upTo(n, (i) => [hexAddress(i)]) } }),
  ],
])(
  '1024 %s of %j: it stops %i times to check them, %i times to restore them',
  (_, driver, check, restore, fill) => {
    const of = (count: number) => {
      const host = newHost();
      make(host, { call: 'create-device', device: 'd0', driver });
      const { driver: made } = host.kernel.devices.get('d0')!;
      const state = fill(made.state!(Number.POSITIVE_INFINITY), count);
      return [
        [...(modelOf(made)!.checkState?.(made, state) ?? [])].length,
        [...made.restore!(state as never)!].length,
      ];
    };
    expect(of(1024)).toEqual([check, restore]);
  },
);

test('processes are restored 256 at a time, and so are those that have exited', () => {
  const of = (there: number, exited: number) => {
    const { kernel } = new Machine(LINUX_6_1);
    const { processes } = JSON.parse(textOf(newHost())).state;
    const state = {
      processes: upTo(there, (number) => ({ ...processes[0], process: `p${number}`, number, mm: number })),
      exited: upTo(exited, (i) => ({ process: `e${i}`, number: there + i, memlock: null })),
      next: { processNumber: there + exited },
    };
    return [...restoreProcesses(kernel, state as never, 'body')].length;
  };
  expect([of(1, 0), of(255, 0), of(256, 0), of(512, 0)]).toEqual([0, 0, 1, 2]);
  expect([of(1, 255), of(1, 256), of(1, 512)]).toEqual([0, 1, 2]);
});
