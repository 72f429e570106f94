import { expect, test } from 'vitest';
import { ApGuest } from '../../../src/drivers/vfio-ap/guest.ts';
import { Linux61 } from '../../../src/drivers/vfio-ap/linux-6.1.ts';
import { ApMask, ApMatrix } from '../../../src/drivers/vfio-ap/masks.ts';
import { MatrixDev } from '../../../src/drivers/vfio-ap/matrix-dev.ts';
import { MatrixMdev } from '../../../src/drivers/vfio-ap/mdev.ts';
import { observe } from '../../../src/drivers/vfio-ap/observe.ts';
import { VfioApQueue } from '../../../src/drivers/vfio-ap/queue.ts';
import { saveMatrixDev } from '../../../src/drivers/vfio-ap/saved.ts';
import type { Task } from '../../../src/kernel/task.ts';
import { itemsOf } from '../../../src/pause.ts';

const CODEC = { saveLock: () => null, restoreLock() {}, checkPins() {} };
const QUEUES = [0, 1, 2, 256, 257, 258, 512, 513, 514];

/** An AP side with the matrix mdev d0 of three adapters and three domains. */
function matrixWith() {
  const matrixDev = new MatrixDev();
  matrixDev.plug([0x905, 0x503]);
  matrixDev.plug(QUEUES);
  const mdev = new MatrixMdev({ type: 'vfio-ap' }, new Linux61(matrixDev));
  mdev.attachTo({ id: 'd0' } as never);
  mdev.apqns = QUEUES;
  mdev.matrix = ApMatrix.of([...QUEUES].reverse());
  mdev.shadowApcb = ApMatrix.of(QUEUES);
  matrixDev.mdevList.push(mdev);
  const queue = (apqn: number) => matrixDev.bus.boundQueue(apqn)!;
  return { matrixDev, mdev, queue };
}

test('a queue holds something where it has a pin, an ISC, or both', () => {
  const holds = (savedIova: bigint, savedIsc: number | null) =>
    Object.assign(new VfioApQueue(0), { savedIova, savedIsc }).holds;
  expect([holds(0n, null), holds(8n, null), holds(0n, 0), holds(8n, 3)]).toEqual([false, true, true, true]);
});

test('adapters, queues and those that devices were made with are in order, whichever came first', () => {
  const { matrixDev } = matrixWith();
  const { hardware, bus } = matrixDev;
  hardware.configure(5, false);
  hardware.configure(0, false);
  expect(hardware.adapters()).toEqual(
    [0, 1, 2, 5, 9].map((adapter) => ({ adapter, configured: ![0, 5].includes(adapter) })),
  );
  expect([hardware.maxAdapter, hardware.maxDomain]).toEqual([9, 5]);
  hardware.configure(9, false);
  expect([hardware.maxAdapter, hardware.hasAdapter(9), hardware.hasAdapter(3)]).toEqual([9, true, false]);
  expect([hardware.hasQueue(0x905), hardware.hasQueue(0x906), hardware.hasQueue(0x305)]).toEqual([
    ...[true, false, false],
  ]);
  const apqns = bus.all().map(([apqn]) => apqn);
  expect(apqns).toEqual([...apqns].sort((a, b) => a - b));
  expect(saveMatrixDev(matrixDev, CODEC, itemsOf).madeWith).toEqual([...QUEUES, 0x503, 0x905]);
});

test('a queue is saved with its device and what it holds, one that is not bound with nothing', () => {
  const { matrixDev, mdev, queue } = matrixWith();
  Object.assign(queue(1), { matrixMdev: mdev, savedIova: 0x1008n, savedIsc: 3, resetResponse: 2 });
  const queues = new Map(matrixDev.bus.all());
  queues.set(2, null);
  matrixDev.bus.restore(matrixDev.bus.scanned, [...queues]);
  const none = { mdev: null, savedIova: null, savedIsc: null, resetResponse: 0 };
  expect(saveMatrixDev(matrixDev, CODEC, itemsOf).queues.slice(0, 3)).toEqual([
    { apqn: 0, bound: true, ...none },
    { apqn: 1, bound: true, mdev: 'd0', savedIova: '0x1008', savedIsc: 3, resetResponse: 2 },
    { apqn: 2, bound: false, ...none },
  ]);
});

test('queues that hold something are found in order, and what recordings show of those of no device', () => {
  const { matrixDev, mdev, queue } = matrixWith();
  expect(observe(matrixDev)).toEqual({});
  for (const apqn of [259, 3, 513, 0]) queue(apqn).savedIsc = 1;
  expect(matrixDev.bus.queuesThatHold().map(({ apqn }) => apqn)).toEqual([0, 3, 259, 513]);
  queue(259).matrixMdev = mdev;
  expect(observe(matrixDev)).toEqual({
    otherQueues: [
      { apqn: 3, savedIova: null, savedIsc: 1, mdev: false },
      { apqn: 259, savedIova: null, savedIsc: 1, mdev: true },
    ],
  });
});

test('each list of a device’s state is as long as may be shown', () => {
  const { mdev, queue } = matrixWith();
  for (const apqn of [3, 259, 260])
    if (queue(apqn)) Object.assign(queue(apqn), { matrixMdev: mdev, savedIsc: 1 });
  for (const key of [1n, 2n, 3n]) mdev.notePin(key * 4096n);
  const lengths = (most: number) =>
    Object.entries(mdev.state(most)).flatMap(([name, list]) =>
      Array.isArray(list) ? [[name, list.length]] : [],
    );
  const all = Object.fromEntries(lengths(100));
  expect(all).toMatchObject({
    adapters: 3,
    domains: 3,
    guestAdapters: 3,
    guestDomains: 3,
    queues: 9,
    pinned: 3,
  });
  expect(all.otherQueues).toBeGreaterThan(1);
  expect(Object.fromEntries(lengths(1))).toEqual(
    Object.fromEntries(Object.keys(all).map((name) => [name, 1])),
  );
  expect(mdev.state(100)).toMatchObject({ adapters: [0, 1, 2], domains: [0, 1, 2] });
});

test('keys that were pinned are given back one by one', () => {
  const { mdev } = matrixWith();
  for (const key of [4096n, 8n, 4096n]) mdev.notePin(key);
  expect([...mdev.pinned]).toEqual([4096n, 8n, 4096n]);
  expect([mdev.noteUnpin(4096n), mdev.noteUnpin(7n)]).toEqual([true, false]);
  expect([...mdev.pinned]).toEqual([8n, 4096n]);
  mdev.notePin(8n);
  expect([...mdev.pinned]).toEqual([8n, 4096n, 8n]);
});

test('a guest is busy while a device has it or a task one of its locks', () => {
  const { matrixDev, mdev } = matrixWith();
  const guest = () => new ApGuest('g', matrixDev.hardware);
  expect(guest().isBusy).toBe(false);
  expect(Object.assign(guest(), { hook: mdev }).isBusy).toBe(true);
  for (const name of ['lock', 'hookSem'] as const) {
    const owned = guest();
    owned[name].owner = {} as Task;
    const read = guest();
    read[name].readers.add({} as Task);
    expect([owned.isBusy, read.isBusy], name).toEqual([true, true]);
  }
});

test('a guest is fresh where nothing of it is otherwise than it is made, and shows what it has', () => {
  const { matrixDev, mdev } = matrixWith();
  const guest = (more: object = {}) => Object.assign(new ApGuest('g', matrixDev.hardware), more);
  expect([guest().isFresh, guest().shows]).toEqual([true, false]);
  const [apm, aqm] = [new ApMatrix(new ApMask([1])), new ApMatrix(undefined, new ApMask([1]))];
  for (const shown of [{ hook: mdev }, { iscs: new Map([[1, 1]]) }, { masks: apm }, { masks: aqm }])
    expect([guest(shown).shows, guest(shown).isFresh], Object.keys(shown)[0]).toEqual([true, false]);
  const lacks = [
    { crycb: false },
    { aiv: false },
    { memorySlots: false },
    { protected: true },
    { sharesNib: false },
  ];
  for (const one of lacks)
    expect([guest(one).shows, guest(one).isFresh], JSON.stringify(one)).toEqual([false, false]);
  for (const name of ['lock', 'hookSem'] as const) {
    const wedged = guest();
    wedged[name].wedgedBy = {} as never;
    expect([wedged.shows, wedged.isFresh], name).toEqual([false, false]);
  }
  const shown = guest({
    hook: mdev,
    masks: ApMatrix.of([0x0203, 0x0101]),
    iscs: new Map([
      [5, 2],
      [3, 1],
    ]),
  });
  expect(shown.describe()).toEqual({
    ...{ guest: 'g', adapters: [1, 2], domains: [1, 3], iscs: { 3: 1, 5: 2 }, hook: true },
  });
});

test('ISCs are registered as often as it works, and unregistered as often as they are there', () => {
  const { matrixDev } = matrixWith();
  const guest = new ApGuest('g', matrixDev.hardware);
  const notes: unknown[] = [];
  const task = { note: (_: string, entry: unknown) => notes.push(entry) } as never;
  matrixDev.hardware.inject(0, 'gisc-register', [0, 1, 0]);
  expect([1, 2, 3].map(() => guest.giscRegister(3))).toEqual([true, false, true]);
  expect([...guest.iscs]).toEqual([[3, 2]]);
  guest.giscUnregister(task, 3);
  expect([...guest.iscs]).toEqual([[3, 1]]);
  guest.giscUnregister(task, 3);
  guest.giscUnregister(task, 3);
  expect([...guest.iscs]).toEqual([]);
  expect(notes).toEqual(new Array(3).fill({ op: 'gisc-unregister', isc: 3 }));
});
