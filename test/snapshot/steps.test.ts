import { Type } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { asWritten } from '../../routes/pieces.ts';
import type { CallObject } from '../../schemas/calls.ts';
import { SnapshotSchema } from '../../schemas/snapshot.ts';
import { Findings } from '../../src/host/findings.ts';
import { jsonPieces } from '../../src/json/pieces.ts';
import { GENERATIONS, type Generation, LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { countHolders, saveHolders } from '../../src/kernel/saved/holders.ts';
import { MACHINE_LIMITS } from '../../src/machine/limits.ts';
import { Machine } from '../../src/machine/machine.ts';
import { checkSteps } from '../../src/machine/validate.ts';
import { longScenarioSteps } from '../../src/replay/check.ts';
import { comparisonSteps } from '../../src/replay/compare-kernels.ts';
import { restoreSteps } from '../../src/snapshot/restore.ts';
import { takeSnapshot } from '../../src/snapshot/take.ts';
import { Expected } from '../../src/verdict/expectation.ts';
import { verdictSteps } from '../../src/verdict/verdict.ts';
import { through } from '../harness/through.ts';

const MAPPINGS = 4096;
const PAGE = 4096;

function full(): Machine {
  const machine = new Machine(LINUX_6_1);
  const calls = [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'ignore' } },
    { call: 'attach', device: 'd0', container: 'c0' },
  ];
  for (const call of calls) machine.start(call);
  for (let iova = 0; iova < MAPPINGS * PAGE; iova += PAGE) {
    machine.start({ call: 'map-dma', container: 'c0', iova, vaddr: iova, size: PAGE, flags: 3 });
    machine.start({ call: 'pin-pages', device: 'd0', iova, npage: 1, prot: 3 });
  }
  return machine;
}

test('the mappings of a snapshot are restored a few hundred at a time', () => {
  const snapshot = takeSnapshot(full(), false);
  const { stops } = through(restoreSteps(new Machine(LINUX_6_1, MACHINE_LIMITS), snapshot, 'snapshot'));
  // Their fields, the tree, their owners, their pins.
  expect(stops).toBeGreaterThan(4 * (MAPPINGS / 512));
});

test('a verdict on pins that were left behind stops between them', () => {
  const machine = full();
  machine.start({ call: 'close-device', device: 'd0' });
  const host = { machine, findings: new Findings(), panicked: null };
  const { stops, value } = through(verdictSteps({ name: 'rig', host }, Expected.parse('', 'expect')));
  expect(value.leakedPins).toBe(MAPPINGS);
  expect(stops).toBeGreaterThan(MAPPINGS / 256);
});

test('the schema of a snapshot is compiled part by part', () => {
  const snapshot = takeSnapshot(new Machine(LINUX_6_1), false);
  const { stops, value: refused } = through(checkSteps(SnapshotSchema, snapshot, 'body'));
  expect(refused).toBeNull();
  expect(stops).toBeGreaterThan(10);
});

test('a schema of a hundred fields and more is compiled part by part, one of a few fields at once', () => {
  const fields = (count: number) =>
    Type.Object(
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, Type.Optional(Type.String())])),
    );
  const parts = (count: number) =>
    through(checkSteps(Type.Object({ a: fields(count), b: fields(count) }), { a: {}, b: {} }, 'body'));
  expect(parts(60)).toEqual({ stops: 3, value: null });
  expect(parts(5)).toEqual({ stops: 0, value: null });
});

test('what is wrong with a snapshot is told in the order of its rules, whatever its size', () => {
  const { state, ...rest } = takeSnapshot(new Machine(LINUX_6_1), false);
  const why = (value: unknown) => through(checkSteps(SnapshotSchema, value, 'body')).value?.message;
  expect(why(null)).toBe('body is null, but must be an object');
  expect(why({ ...rest, more: 1 })).toBe('body/state is missing');
  expect(why({ ...rest, state, more: 1 })).toBe('body/more is not a known field');
  expect(why({ ...rest, state: { ...state, groups: 7 } })).toBe(
    'body/state/groups is 7, but must be an array',
  );
});

test('a comparison stops between the steps that it holds against each other', () => {
  const count = 500;
  const steps = Array.from({ length: count }, () => ({ call: 'open-container' }));
  const kernels = GENERATIONS.filter(({ version }) => ['6.1', '6.12'].includes(version));
  const machineOf = (gen: Generation) => new Machine(gen, { ...MACHINE_LIMITS, containers: count });
  const compared = through(comparisonSteps({ id: 't', kernel: '6.1', steps }, kernels, machineOf));
  expect(compared.value).toEqual([]);
  // Two runs, their answers as a whole, and step by step.
  expect(compared.stops).toBeGreaterThanOrEqual(4 * count);
});

test('a long trace is checked a few steps at a time', () => {
  const steps = Array.from({ length: 10_000 }, () => ({ call: 'open-container' }));
  expect(through(longScenarioSteps({ steps })).stops).toBeGreaterThan(steps.length / 128);
});

test('the holders of one pin are counted in steps, and one that is there twice is refused', () => {
  const { kernel } = new Machine(LINUX_6_1);
  const holders = Array.from({ length: 10_000 }, (_, number): [number, number] => [number, 2]);
  for (const [number] of holders) kernel.deviceNames.set(number, `d${number}`);
  const { stops, value } = through(countHolders(kernel, holders, 0, 'here'));
  expect(stops).toBe(9);
  expect(value.total).toBe(20_000);
  expect([...value.counts]).toEqual(holders);
  expect(() => through(countHolders(kernel, [...holders, [7, 1]], 0, 'here'))).toThrow(
    'here has a device twice',
  );
});

test('the holders of one pin are saved in pieces where they are many', () => {
  const many = new Map(Array.from({ length: 20_000 }, (_, number): [number, number] => [number, 2]));
  const pieces = [...jsonPieces(saveHolders(many, asWritten))];
  expect(pieces.length).toBeGreaterThan(4);
  expect(pieces.join('')).toBe(JSON.stringify([...many]));
  expect(saveHolders(new Map([[7, 1]]), asWritten)).toEqual([[7, 1]]);
});

test('files and descriptors are made as they are written, not all before the first of them', () => {
  const machine = new Machine(LINUX_6_1);
  const make = (call: CallObject) => expect(machine.start(call).answer?.end.how).toBe('returned');
  make({ call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'ignore' } });
  make({ call: 'open-container', container: 'c0' });
  make({ call: 'attach', container: 'c0', device: 'd0' });
  for (let i = 0; i < 3000; i++) make({ call: 'open-device', device: 'd0' });
  const saved = takeSnapshot(machine, false);
  const inSteps = takeSnapshot(machine, false, asWritten);
  for (const list of [inSteps.state.files, inSteps.state.processes[0]!.files]) {
    expect(Array.isArray(list)).toBe(false);
  }
  expect([...jsonPieces(inSteps)].join('')).toBe(JSON.stringify(saved));
  expect(saved.state.files).toHaveLength(3003);
});

test('a bitmap whose words are all alike is saved with pauses, as one run', () => {
  const machine = new Machine(LINUX_6_1);
  const pages = 256 * 32_768;
  const range = { container: 'c0', iova: 0, size: pages * PAGE };
  for (const call of [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'ignore' } },
    { call: 'attach', device: 'd0', container: 'c0' },
    { call: 'map-dma', ...range, vaddr: 0, flags: 3 },
    { call: 'dirty-start', container: 'c0' },
  ]) {
    expect(machine.start(call).answer?.end.how).toBe('returned');
  }
  const word = [0, pages / 64, '0x500000005'];
  const taken = structuredClone(takeSnapshot(machine, false));
  taken.state.containers[0]!.iommu!.mappings[0]!.dirty = [word as never];
  const again = new Machine(LINUX_6_1, MACHINE_LIMITS);
  through(restoreSteps(again, taken, 'snapshot'));
  const pieces = [...jsonPieces(takeSnapshot(again, false, asWritten))];
  expect(pieces.filter((piece) => piece === '')).toHaveLength(4);
  expect(pieces.join('')).toBe(JSON.stringify(taken));
});

test('the areas of iommufd and their accesses are made as a snapshot is written', () => {
  const machine = new Machine(GENERATIONS.find(({ containerOf }) => containerOf === 'iommufd')!);
  for (const call of [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } },
    { call: 'attach', device: 'd0', container: 'c0' },
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 8 * PAGE, flags: 3 },
    { call: 'pin-pages', device: 'd0', iova: 0, npage: 2, prot: 3 },
  ]) {
    expect(machine.start(call).answer?.end.how).toBe('returned');
  }
  const written = takeSnapshot(machine, false, asWritten);
  expect(Array.isArray(written.state.containers[0]!.ioas!.areas)).toBe(false);
  const whole = takeSnapshot(machine, false);
  expect(whole.state.containers[0]!.ioas!.areas[0]!.pins).toHaveLength(1);
  expect([...jsonPieces(written)].join('')).toBe(JSON.stringify(whole));
});

test('what several processes have in their memory is made as a snapshot is written', () => {
  const machine = new Machine(LINUX_6_1);
  for (const call of [
    { call: 'add-memory-region', process: 'p0', start: 0, size: 16 * PAGE, prot: 3, kind: 'shared' },
    { call: 'write-memory', process: 'p0', vaddr: 8 * PAGE, data: 'AAEC' },
    { call: 'fill-memory', process: 'p0', vaddr: 0, length: PAGE, byte: 7 },
  ]) {
    expect(machine.start(call).answer?.end.how).toBe('returned');
  }
  const written = takeSnapshot(machine, false, asWritten);
  expect(Array.isArray(written.state.stores![0]!.contents)).toBe(false);
  const whole = takeSnapshot(machine, false);
  expect(whole.state.stores![0]!.contents.map(({ page }) => page)).toEqual(['0x0', '0x8000']);
  expect([...jsonPieces(written)].join('')).toBe(JSON.stringify(whole));
});
