import { expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import type { CallObject } from '../../schemas/calls.ts';
import { Base64Bytes } from '../../src/json/base64.ts';
import type { Generation } from '../../src/kernel/generations/generation.ts';
import { GENERATIONS } from '../../src/kernel/generations/index.ts';
import { bodyOf } from '../../src/machine/answer.ts';
import type { StartedCall } from '../../src/machine/call-task.ts';
import { MACHINE_LIMITS } from '../../src/machine/limits.ts';
import { Machine } from '../../src/machine/machine.ts';
import { Refused } from '../../src/machine/refused.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import { ALWAYS } from '../harness/pauses.ts';

const MAPPINGS = 1500;
const PAGE = 4096;

/** A machine with mappings in c0, each with a page that d0 has pinned. */
function machineOf(gen: Generation, pauses?: typeof ALWAYS): Machine {
  const machine = new Machine(gen, { ...MACHINE_LIMITS, pendingCalls: 4 }, { pauses });
  const calls: CallObject[] = [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } },
    { call: 'attach', device: 'd0', container: 'c0' },
  ];
  for (let i = 0; i < MAPPINGS; i++) {
    const iova = i * PAGE;
    calls.push({ call: 'map-dma', container: 'c0', iova, vaddr: iova, size: PAGE, flags: 3 });
    calls.push({ call: 'pin-pages', device: 'd0', iova, npage: 1, prot: 3 });
  }
  for (const call of calls)
    if (machine.start(call).answer?.end.how !== 'returned') throw new Error(call.call);
  return machine;
}

const unmapAll = { call: 'unmap-dma', container: 'c0', iova: 0, size: MAPPINGS * PAGE };
const mapOne = { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: PAGE, flags: 3 };

/** Goes on to the end; how often it had to. */
function through(machine: Machine): number {
  let pauses = 0;
  for (; machine.turns.isBusy; pauses++) machine.proceed();
  return pauses;
}

const CASES: [string, CallObject][] = [
  ['unmap of pinned mappings', unmapAll],
  ['dirty tracking that starts', { call: 'dirty-start', container: 'c0' }],
  ['the last close of a device', { call: 'close-device', device: 'd0' }],
  ['detach with pins left', { call: 'detach', device: 'd0', container: 'c0' }],
];

for (const gen of GENERATIONS.filter(({ version }) => /^(5.10|6.12|7.2|6.12-iommufd)$/.test(version))) {
  test.each(CASES)(`%s pauses and comes to the same (${gen.version})`, (_, call) => {
    const plain = machineOf(gen);
    const paused = machineOf(gen, ALWAYS);
    const expected = plain.start(call);
    const started = paused.start(call);
    const pauses = through(paused);
    const dirty = call.call === 'dirty-start' && gen.containerOf === 'iommufd';
    if (!dirty && gen.containerOf !== 'iommufd') expect(pauses).toBeGreaterThan(0);
    expect(toReply(started.answer!)).toEqual(toReply(expected.answer!));
    expect(dumpKernel(paused.kernel)).toEqual(dumpKernel(plain.kernel));
  });
}

const LINUX = GENERATIONS.find(({ version }) => version === '6.1')!;

test('calls that come during a pause wait for their turn, in order, and nothing is done before', () => {
  const machine = machineOf(LINUX, ALWAYS);
  const unmap = machine.start(unmapAll);
  expect(unmap.answer).toBeNull();
  const map = machine.start(mapOne);
  const missing = machine.start({ ...mapOne, container: 'c9' });
  const told: string[] = [];
  for (const call of [unmap, map, missing])
    call.whenAnswered(({ call: name, end }) => told.push(`${name} ${end.how}`));
  expect(machine.underway()).toEqual([
    'unmap-dma is at work',
    'map-dma waits for its turn',
    'map-dma waits for its turn',
  ]);
  expect(machine.container('c0').view!.mappingCount).toBeGreaterThan(0);
  expect(map.answer).toBeNull();
  through(machine);
  expect(told).toEqual(['unmap-dma returned', 'map-dma returned', 'map-dma crashed']);
  expect(missing.answer!.end).toMatchObject({ error: { slug: 'not-found' } });
  expect(machine.container('c0').view!.mappingCount).toBe(1);
});

test('as many calls wait as may be under way; the next one is refused', () => {
  const machine = machineOf(LINUX, ALWAYS);
  machine.start(unmapAll);
  for (let i = 0; i < 4; i++) machine.start(mapOne);
  expect(() => machine.start(mapOne)).toThrow('4 calls under way');
  // Calls of drivers have their own room: what is under way may need them to end.
  for (let i = 0; i < 4; i++) machine.start({ call: 'resume-callbacks', device: 'd0' });
  expect(() => machine.start({ call: 'resume-callbacks', device: 'd0' })).toThrow(Refused);
});

test('a machine given up during a pause answers the call at work, and those that wait', async () => {
  const machine = machineOf(LINUX, ALWAYS);
  const calls: StartedCall[] = [machine.start(unmapAll), machine.start(mapOne)];
  const idle = machine.turns.idle();
  machine.abandon('the test ended it');
  for (const { answer } of calls) expect(answer!.end).toMatchObject({ error: { slug: 'abandoned' } });
  await idle;
  expect(machine.underway()).toEqual([]);
  machine.proceed();
});

test('whoever holds a machine sees it stay as it is; calls go on afterwards', () => {
  const machine = machineOf(LINUX);
  const release = machine.turns.hold();
  const map = machine.start({ ...mapOne, iova: MAPPINGS * PAGE });
  expect(map.answer).toBeNull();
  expect(machine.container('c0').view!.mappingCount).toBe(MAPPINGS);
  release();
  release();
  expect(map.answer!.end.how).toBe('returned');
});

const MIB = 1024 * 1024;
const BYTES = Buffer.alloc(5 * MIB + 3, 'abcdefg').toString('base64');

test.each([
  ['write-memory', { call: 'write-memory', process: 'p0', vaddr: 4095, data: BYTES }],
  ['fill-memory', { call: 'fill-memory', process: 'p0', vaddr: 1, length: 5 * MIB, byte: 7 }],
  ['read-memory', { call: 'read-memory', process: 'p0', vaddr: 5, length: 5 * MIB }],
  ['dma-rw that reads', { call: 'dma-rw', device: 'd0', iova: 5, write: false, length: 5 * MIB }],
  ['dma-rw that writes', { call: 'dma-rw', device: 'd0', iova: 3, write: true, data: BYTES }],
  ['fork-process', { call: 'fork-process', process: 'p0', child: 'p1' }],
] as [string, CallObject][])('%s of much memory pauses and comes to the same', (_, call) => {
  const machineWithMemory = (pauses?: typeof ALWAYS) => {
    const machine = new Machine(LINUX, MACHINE_LIMITS, { pauses });
    for (const step of [
      { call: 'open-container', container: 'c0' },
      { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } },
      { call: 'attach', device: 'd0', container: 'c0' },
      { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 6 * MIB, flags: 3 },
      { call: 'write-memory', process: 'p0', vaddr: 0, data: BYTES },
    ]) {
      machine.start(step);
      through(machine);
    }
    return machine;
  };
  const plain = machineWithMemory();
  const paused = machineWithMemory(ALWAYS);
  const expected = plain.start(call);
  const started = paused.start(call);
  expect(through(paused)).toBeGreaterThan(1);
  expect(JSON.stringify(toReply(started.answer!))).toBe(JSON.stringify(toReply(expected.answer!)));
  expect(dumpKernel(paused.kernel)).toEqual(dumpKernel(plain.kernel));
});

test.each([
  { call: 'read-memory', process: 'p0', vaddr: 0, length: 5 * MIB },
  { call: 'dma-rw', device: 'd0', iova: 0, write: false, length: 5 * MIB },
])('the hash of what $call answered is known before the answer is there', (call) => {
  const machine = machineOf(LINUX);
  machine.start({ call: 'unmap-dma', container: 'c0', iova: 0, size: MAPPINGS * PAGE });
  machine.start({ call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 6 * MIB, flags: 3 });
  machine.start({ call: 'write-memory', process: 'p0', vaddr: 0, data: BYTES });
  const { data } = bodyOf(machine.start(call).answer!);
  // Nobody goes through all of the bytes at once to hash them.
  const { bytes } = data as Base64Bytes;
  const original = bytes[0]!;
  bytes[0] = 0;
  const { hash } = data as Base64Bytes;
  bytes[0] = original;
  expect(hash).toBe(new Base64Bytes(bytes).hash);
});

test('a close that warns for each of its mappings pauses often', () => {
  const machine = new Machine(LINUX, MACHINE_LIMITS, { pauses: ALWAYS });
  for (const call of [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'ignore' } },
    { call: 'attach', device: 'd0', container: 'c0' },
  ]) {
    machine.start(call);
  }
  for (let iova = 0; iova < MAPPINGS * PAGE; iova += PAGE) {
    machine.start({ call: 'map-dma', container: 'c0', iova, vaddr: iova, size: PAGE, flags: 3 });
    machine.start({ call: 'pin-pages', device: 'd0', iova, npage: 1, prot: 3 });
  }
  machine.start({ call: 'close-device', device: 'd0' });
  through(machine);
  const { answer } = machine.start({ call: 'unset-container', device: 'd0' });
  expect(answer).toBeNull();
  const started = machine.start({ call: 'open-container', container: 'c1' });
  const pauses = through(machine);
  expect(started.answer!.end.how).toBe('returned');
  expect(pauses).toBeGreaterThan(MAPPINGS / 50);
});

test('an unmap that calls a driver for each of its mappings pauses often', () => {
  const machine = machineOf(LINUX, ALWAYS);
  machine.start(unmapAll);
  expect(through(machine)).toBeGreaterThan(MAPPINGS / 150);
});

/** Pages that have chunks of their own in a sparse bitmap, and how many: more than are copied in one go. */
const [APART, FAR] = [2 ** 27, 100];
const FAR_RANGE = { container: 'c0', iova: 0, size: FAR * APART, pageSize: PAGE };

test.each<[string, CallObject]>([
  ['dirty-get', { call: 'dirty-get', ...FAR_RANGE }],
  ['an unmap that gets what is dirty', { call: 'unmap-dma', ...FAR_RANGE, flags: 1 }],
])('%s pauses between dirty pages far from each other and comes to the same', (_, call) => {
  const [plain, paused] = [undefined, ALWAYS].map((pauses) => {
    const machine = new Machine(LINUX, MACHINE_LIMITS, { pauses });
    const driver = { type: 'synthetic', onDmaUnmap: 'ignore' };
    const calls: CallObject[] = [
      { call: 'open-container', container: 'c0' },
      { call: 'create-device', device: 'd0', driver },
      { call: 'attach', container: 'c0', device: 'd0' },
      { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: FAR * APART, flags: 3 },
      { call: 'dirty-start', container: 'c0' },
    ];
    for (let i = 0; i < FAR; i++) {
      calls.push({ call: 'pin-pages', device: 'd0', iova: i * APART, npage: 1, prot: 3 });
      calls.push({ call: 'unpin-pages', device: 'd0', iova: i * APART, npage: 1 });
    }
    for (const one of calls) expect(machine.start(one).answer).toMatchObject({ end: { how: 'returned' } });
    return machine;
  }) as [Machine, Machine];
  const expected = plain.start(call).answer!;
  const started = paused.start(call);
  expect(through(paused)).toBeGreaterThan(2);
  expect(JSON.stringify(toReply(started.answer!))).toBe(JSON.stringify(toReply(expected)));
  expect(toReply(expected).body.dirtyRanges).toHaveLength(FAR);
  expect(dumpKernel(paused.kernel)).toEqual(dumpKernel(plain.kernel));
});
