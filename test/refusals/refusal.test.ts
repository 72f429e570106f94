import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CALL_NAMES, type CallObject } from '../../schemas/calls.ts';
import type { SplatReport } from '../../src/kernel/splat-report.ts';
import { fuzz } from '../harness/fuzz.ts';
import { dumpKernel, type KernelDump } from '../harness/kernel-dump.ts';
import { anyCall, anySetup } from '../model/random-calls.ts';
import { expectedAfter, isRefusal, make, saysOnlyTitle } from './refusal-rules.ts';
import { CONTAINER, device, map, opened, pin, smallHost, unmap } from './refusals.ts';
import { CONTAINER_REFUSALS } from './refusals-container.ts';
import { DEVICE_REFUSALS } from './refusals-device.ts';
import { DRIVER_REFUSALS } from './refusals-driver.ts';
import { HOST_REFUSALS } from './refusals-host.ts';

const REFUSALS = [...HOST_REFUSALS, ...CONTAINER_REFUSALS, ...DEVICE_REFUSALS, ...DRIVER_REFUSALS];

test.for(REFUSALS.map((one) => [`${one.call} ${one.condition}`, one] as const))('%s', ([, row]) => {
  const { call, setup, args, answer, log } = row;
  const host = smallHost();
  for (const step of setup) make(host, step);
  const before = dumpKernel(host.kernel);
  const seq = host.journal.seq;
  const numbers = numbersOf(host);
  const refused = { call, ...args };
  const ending = make(host, refused);
  expect(ending.how).toBe(answer === 'warned' ? 'ok' : answer);
  expect(ending.log.map(({ kind }) => kind)).toEqual(log);
  expect(saysOnlyTitle(refused, ending), 'the detail is only the title of the errno').toBe(false);
  const after = dumpKernel(host.kernel);
  expect(after).toEqual(expectedAfter(before, after, refused, ending));
  // A request that no kernel saw is not in the journal either, and has no number.
  if (typeof answer !== 'number') return;
  expect(host.journal.seq).toBe(seq);
  expect(numbersOf(host)).toEqual(numbers);
});

/** The numbers that calls and objects get next. */
function numbersOf({ kernel, machine }: ReturnType<typeof smallHost>): object {
  return { call: kernel.callCount, ...machine.ids.next };
}

test('the tables have a refusal of every call', () => {
  const named = new Set(REFUSALS.map(({ call }) => call));
  expect(CALL_NAMES.filter((call) => !named.has(call))).toEqual([]);
});

test('open-device refused by the driver: nothing is open', () => {
  const host = smallHost();
  const driver = { type: 'manual', openDevice: true };
  const d0 = { device: 'd0' };
  const join = { call: 'set-container', ...d0, container: 'c0' };
  const setup = [...CONTAINER, { call: 'create-device', ...d0, driver }, { call: 'open-group', ...d0 }, join];
  for (const call of [...setup, { call: 'set-iommu', container: 'c0', type: 3 }]) make(host, call);
  const before = dumpKernel(host.kernel);
  const open = host.start({ call: 'open-device', ...d0 });
  expect(make(host, { call: 'complete-callback', ...d0, errno: 'EPERM' }).how).toBe('ok');
  expect(open.answer?.end).toEqual({ how: 'returned', value: 'EPERM' });
  expect(dumpKernel(host.kernel)).toEqual(before);
});

/** A dump as it is when a task died holding the first container's iommu->lock. */
function heldForEver(dump: KernelDump, call: string, wedgedBy: SplatReport): KernelDump {
  const held = structuredClone(dump);
  held.containers[0]!.iommu!.lock = { owner: call, readers: [], waiters: [], wedgedBy };
  return held;
}

test('unmap-dma killed by the BUG_ON: what it had removed is gone, the rest is as it was', () => {
  const host = smallHost();
  const setup = [...CONTAINER, ...opened('d0', 3, 'ignore'), map(0x20000, 0x1000), map(0x30000, 0x1000)];
  for (const call of [...setup, pin(0x20000)]) make(host, call);
  const before = dumpKernel(host.kernel);
  make(host, map(0x10000, 0x1000));
  const { answer } = host.start(unmap(0x10000, 0x30000));
  const { end, splats } = answer!;
  expect(end.how).toBe('killed');
  const expected = heldForEver(before, 'unmap-dma', splats[0]!);
  Object.assign(expected.devices[0]!.driver.state!, { callbacks: 11 });
  const after = dumpKernel(host.kernel);
  // A mapping came and went: the tree need not have its old shape.
  expected.containers[0]!.iommu!.tree = after.containers[0]!.iommu!.tree;
  expect(after).toEqual({ ...expected, taint: ['D'] });
});

test('open-device in a deadlock with a callback: mappings, pins and memory are as they were', () => {
  const host = smallHost();
  const setup = [...CONTAINER, ...opened('d0', 3, 'unpin-range', { holdCallbacks: true })];
  const join = { call: 'set-container', device: 'd1', container: 'c0' };
  for (const call of [...setup, map(0x10000, 0x1000), pin(0x10000), ...device('d1'), join]) make(host, call);
  const before = dumpKernel(host.kernel);
  expect(make(host, unmap(0x10000, 0x1000)).how).toBe('pending');
  const open = host.start({ call: 'open-device', device: 'd1' });
  make(host, { call: 'resume-callbacks', device: 'd0' });
  expect(open.answer?.end).toMatchObject({ how: 'deadlocked', errno: 'EDEADLK' });
  const after = dumpKernel(host.kernel);
  expect(after.containers[0]?.iommu?.mappings).toEqual(before.containers[0]?.iommu?.mappings);
  expect(after.processes).toEqual(before.processes);
  expect(after.tasks).toEqual([]);
});

/** Refusals met so far, by call and answer. */
const met = new Map<string, number>();

function refuseAll(setup: readonly CallObject[], calls: readonly CallObject[]): void {
  const host = smallHost();
  for (const call of setup) make(host, call);
  let before = dumpKernel(host.kernel);
  const done: CallObject[] = [...setup];
  for (const call of calls) {
    const seq = host.journal.seq;
    const numbers = numbersOf(host);
    const ending = make(host, call);
    done.push(call);
    const after = dumpKernel(host.kernel);
    if (isRefusal(ending)) {
      const expected = expectedAfter(before, after, call, ending);
      const steps = () =>
        `${call.call} answered ${ending.how}, after\n${done.map((one) => JSON.stringify(one)).join('\n')}`;
      if (!isDeepStrictEqual(after, expected)) expect(after, steps()).toEqual(expected);
      if (typeof ending.how === 'number') {
        expect(host.journal.seq, steps()).toBe(seq);
        expect(numbersOf(host), steps()).toEqual(numbers);
      }
      if (saysOnlyTitle(call, ending)) expect.fail(`no reason: ${steps()}`);
      met.set(`${call.call} ${ending.how}`, (met.get(`${call.call} ${ending.how}`) ?? 0) + 1);
    }
    before = after;
  }
}

test('random calls: whatever is refused says why, and leaves the kernel as it was', () => {
  fc.assert(
    fc.property(
      anySetup,
      fc.noBias(fc.array(anyCall, { minLength: 1, maxLength: 80, size: 'max' })),
      refuseAll,
    ),
    fuzz('refusal'),
  );
  if (process.env.FC_SEEN)
    console.log(
      [...met]
        .sort()
        .map(([what, n]) => `${n} ${what}`)
        .join('\n'),
    );
});
