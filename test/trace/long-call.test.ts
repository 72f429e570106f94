import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { Journal } from '../../src/host/journal.ts';
import { JournalWriter } from '../../src/host/journal-writer.ts';
import { TraceRecorder } from '../../src/host/recorder.ts';
import { LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { MACHINE_LIMITS } from '../../src/machine/limits.ts';
import { Machine } from '../../src/machine/machine.ts';
import { curlPieces } from '../../src/replay/curl-script.ts';
import { ALWAYS } from '../harness/pauses.ts';

const PAGE = 4096;
const MAPPINGS = 1500;

test('a trace that is read while a long call is on its way has the call, without what it comes to', () => {
  const recorder = new TraceRecorder(() => 0, 10_000, true);
  const listeners = [new JournalWriter(new Journal(10_000)), recorder];
  const machine = new Machine(LINUX_6_1, MACHINE_LIMITS, { pauses: ALWAYS, listeners });
  const pages = Array.from({ length: MAPPINGS }, (_, i) => i * PAGE);
  const before: CallObject[] = [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } },
    { call: 'attach', device: 'd0', container: 'c0' },
    ...pages.map((iova) => ({ call: 'map-dma', container: 'c0', iova, vaddr: iova, size: PAGE, flags: 3 })),
    ...pages.map((iova) => ({ call: 'pin-pages', device: 'd0', iova, npage: 1, prot: 3 })),
  ];
  for (const call of before) machine.start(call);
  const unmap = { call: 'unmap-dma', container: 'c0', iova: 0, size: MAPPINGS * PAGE };
  machine.start(unmap);
  expect(machine.turns.isBusy).toBe(true);
  expect([...recorder.writtenSteps()].at(-1)).toEqual(unmap);
  const { scenario } = recorder.trace('t', '6.1');
  expect(scenario.steps.at(-1)).toEqual(unmap);
  expect([...curlPieces(scenario)].at(-1)).toContain('unmap-dma');
  while (machine.turns.isBusy) machine.proceed();
  expect([...recorder.writtenSteps()].at(-1)).toMatchObject({ ...unmap, expect: { errno: null } });
});
