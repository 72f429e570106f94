import { expect, test } from 'vitest';
import { LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { MACHINE_LIMITS } from '../../src/machine/limits.ts';
import { Machine } from '../../src/machine/machine.ts';
import { Refused } from '../../src/machine/refused.ts';
import { checkSnapshot, restoreSteps } from '../../src/snapshot/restore.ts';
import { takeSnapshot } from '../../src/snapshot/take.ts';
import { withDevice } from './one-device.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents that are wrong have no type
type Json = any;

/** Restores a snapshot: how often that stopped on its way, and the machine. */
function restored(document: Json, limits = MACHINE_LIMITS): { steps: number; machine: Machine } {
  const machine = new Machine(LINUX_6_1, limits);
  const work = restoreSteps(machine, checkSnapshot(document, 'body'), 'body');
  let steps = 0;
  while (!work.next().done) steps++;
  return { steps, machine };
}

/** Lists that are longer than what hardware there is. */
const LONG: [string, number, (list: Json) => Json[]][] = [
  ['adapters', 256, (ap) => ap.adapters],
  ['domains', 256, (ap) => ap.domains],
  ['adapters of a matrix', 256, (ap) => ap.mdevs[0].matrix.adapters],
  ['queues', 65_536, (ap) => ap.queues],
  ['queues an mdev was made with', 256, (ap) => ap.mdevs[0].queues],
  ['queues of a table', 65_536, (ap) => ap.mdevs[0].linked],
  ['queues any device was made with', 65_536, (ap) => ap.madeWith],
];

test.each(LONG)('%s of vfio-ap beyond %i: refused by the length of the list', (_, most, listOf) => {
  const document = withDevice({ type: 'vfio-ap', queues: [1, 5] });
  const list = listOf(document.state.models['vfio-ap']);
  const one = list[0];
  while (list.length <= most) list.push(one);
  expect(() => checkSnapshot(document, 'body')).toThrow(`array of up to ${most} `);
});

test('an AP matrix with a hundred thousands of pins: restored, a few at a time', () => {
  const document = withDevice({ type: 'vfio-ap', queues: [1, 5] });
  const { steps: before } = restored(document);
  const count = 300_000;
  document.state.models['vfio-ap'].mdevs[0].pinned = Array.from({ length: count }, () => '0x1000');
  const { steps, machine } = restored(document);
  expect(steps - before).toBeGreaterThan(count / 512);
  const saved = JSON.parse(JSON.stringify(takeSnapshot(machine, false)));
  expect(saved.state.models['vfio-ap'].mdevs[0].pinned).toHaveLength(count);
});

test('more pins of all AP matrices together than a machine may have: refused', () => {
  const document = withDevice({ type: 'vfio-ap', queues: [1] }, [
    { call: 'create-device', device: 'd1', driver: { type: 'vfio-ap', queues: [0x102] } },
  ]);
  for (const mdev of document.state.models['vfio-ap'].mdevs) mdev.pinned = ['0x1000', '0x2000'];
  const limits = { ...MACHINE_LIMITS, pins: 3 };
  expect(() => restored(document, limits)).toThrow(Refused);
  expect(() => restored(document, limits)).toThrow(
    'body/state/models/vfio-ap/mdevs come to 4 pins, but the limit is 3',
  );
  expect(() => restored(document, { ...limits, pins: 4 })).not.toThrow();
});

const gvt = { type: 'gvt-g' };
const hex = (number: number) => `0x${number.toString(16)}`;

test('a page table of a hundred thousand entries of one page: restored a few at a time, as it was', () => {
  const document = withDevice(gvt);
  const count = 100_000;
  document.state.devices[0].driverState.gtt = Array.from({ length: count }, (_, i) => ({
    gfn: '0x7',
    size: '4K',
    dmaAddr: hex((i + 1) * 4096),
    times: 1,
  }));
  const { steps, machine } = restored(document);
  // They are checked, and written.
  expect(steps).toBeGreaterThan((2 * count) / 512);
  expect(JSON.parse(JSON.stringify(takeSnapshot(machine, false)))).toEqual(document);
});

test('a cache of ten thousand pages: restored a few at a time, as it was', () => {
  const document = withDevice(gvt);
  const count = 2 ** 14 - 1;
  const levels = Math.log2(count + 1);
  const state = document.state.devices[0].driverState;
  state.cache = Array.from({ length: count }, (_, i) => ({
    gfn: hex(i),
    size: '4K',
    dmaAddr: hex((i + 1) * 4096),
    ref: 1,
  }));
  // A whole tree: the more often two divides a place, from 1, the higher it is.
  const heightOf = (i: number) => Math.log2((i + 1) & -(i + 1));
  state.dmaAddrs = state.cache.map(({ gfn }: Json, i: number) => ({
    gfn,
    depth: levels - 1 - heightOf(i),
    red: false,
  }));
  const { steps, machine } = restored(document);
  // In order, their addresses twice, the tree twice, the cache.
  expect(steps).toBeGreaterThan((4 * count) / 512);
  expect(JSON.parse(JSON.stringify(takeSnapshot(machine, false)))).toEqual(document);
  const limits = { ...MACHINE_LIMITS, pins: 1000 };
  expect(() => restored(document, limits)).toThrow(
    'devices/0/driverState/cache come to 16383 pins, but the limit is 1000',
  );
});

/** A vfio-ccw device whose program was started and holds pages. */
const ccw = () => {
  const document = withDevice({ type: 'vfio-ccw' });
  document.state.devices[0].driverState.program = {
    orb: { cpa: 0x1000, fmt: 1, pfch: true, spnd: true, c64: true, i2k: false, b: false },
    arrays: [['0x2000']],
  };
  return document;
};

test('a channel program of very many CCWs: restored a few at a time, and no more pins than a machine may have', () => {
  const document = ccw();
  const { steps: before } = restored(document);
  const count = 100_000;
  const { program } = document.state.devices[0].driverState;
  program.arrays = Array.from({ length: count }, () => ['0x2000']);
  expect(restored(document).steps - before).toBeGreaterThan(count / 512);
  expect(() => restored(document, { ...MACHINE_LIMITS, pins: 1000 })).toThrow(
    'devices/0/driverState/program/arrays come to 100000 pins, but the limit is 1000',
  );
});

test('more entries of a page table than a vGPU has: refused by the length of the list', () => {
  const document = withDevice(gvt);
  document.state.devices[0].driverState.gtt = new Array(2 ** 20 + 1).fill(0);
  expect(() => restored(document)).toThrow('array of up to 1048576 entries');
});

test('a CCW of more pages than 64 KiB have: refused', () => {
  const document = ccw();
  document.state.devices[0].driverState.program.arrays[0] = new Array(34).fill('0x2000');
  expect(() => restored(document)).toThrow('program/arrays/0 is');
});
