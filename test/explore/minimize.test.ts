import { expect, test } from 'vitest';
import { Minimizing } from '../../src/explore/minimize.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { replay } from '../../src/replay/replay.ts';
import { callOf, type Scenario, type Step } from '../../src/replay/scenario.ts';
import { atOnce } from '../../src/turns.ts';
import { synthetic } from '../harness/explore.ts';

const never = () => false;

function minimize(trace: Scenario, goal: string | null = null) {
  const minimizing = new Minimizing(trace, goal, never);
  atOnce(minimizing.run());
  return minimizing.result();
}

/** Two devices, forty mappings, and one pin among many that its driver keeps. */
function long(): Scenario {
  const steps: Step[] = [
    { call: 'open-container', container: 'c0' },
    { call: 'open-container', container: 'c1' },
    { call: 'create-device', device: 'd0', driver: synthetic('ignore', { unpinOnClose: true }) },
    { call: 'create-device', device: 'd1', driver: synthetic('unpin-range') },
    { call: 'attach', container: 'c0', device: 'd0' },
    { call: 'attach', container: 'c0', device: 'd1' },
  ];
  for (let i = 0; i < 40; i++) {
    const iova = 0x100000 + i * 0x10000;
    const device = i === 7 ? 'd0' : 'd1';
    steps.push({ call: 'map-dma', container: 'c0', iova, vaddr: iova * 16, size: '0x4000', flags: ['read'] });
    steps.push({ call: 'pin-pages', device, iova: iova + 0x1000, npage: 2, prot: 1 });
    if (i !== 7) steps.push({ call: 'unmap-dma', container: 'c0', iova, size: '0x4000' });
  }
  steps.push({ call: 'unmap-dma', container: 'c0', iova: 0x170000, size: '0x4000' });
  steps.push({ call: 'iommu-info', container: 'c0' });
  return { id: 'long', kernel: '6.1', steps };
}

test('a long trace is shrunk to the calls that matter, on one page', () => {
  const { scenario, finding, before, after, whole } = minimize(long());
  expect([finding, before, after, whole]).toEqual(['BUG_ON:B1', 127, 6, true]);
  expect(scenario.steps.map(({ call }) => call)).toEqual([
    'open-container',
    'create-device',
    'attach',
    'map-dma',
    'pin-pages',
    'unmap-dma',
  ]);
  const page = { iova: '0x1000', size: '0x1000' };
  expect(scenario.steps[1]!.driver).toEqual({ type: 'synthetic', onDmaUnmap: 'ignore' });
  expect(scenario.steps[3]).toMatchObject({ ...page, vaddr: '0x1000' });
  expect(scenario.steps[4]).toMatchObject({ iova: '0x1000', npage: 1 });
  expect(scenario.steps[5]).toMatchObject({ ...page, expect: { killed: true } });
  expect(replay(new Machine(generationOf('6.1')!), scenario)).toEqual([]);
});

test('a goal is kept, be it not the worst that the trace comes to', () => {
  const { finding, scenario } = minimize(long(), 'ADVISORY:IGNORED_INVALIDATION');
  expect(finding).toBe('ADVISORY:IGNORED_INVALIDATION');
  expect(scenario.steps.at(-1)!.call).toBe('unmap-dma');
});

test('a race is shrunk with what waits for it', () => {
  const steps: Step[] = [
    { call: 'open-container', container: 'c0' },
    ...['d0', 'd1', 'd2'].flatMap((device, i): Step[] => [
      {
        call: 'create-device',
        device,
        driver: synthetic('unpin-range', i === 0 ? { holdCallbacks: true } : {}),
      },
      { call: 'attach', container: 'c0', device },
    ]),
    { call: 'map-dma', container: 'c0', iova: '0x10000', vaddr: '0x0', size: '0x2000', flags: 3 },
    { call: 'pin-pages', device: 'd0', iova: '0x10000', npage: 1, prot: 3 },
    { call: 'unmap-dma', container: 'c0', iova: '0x10000', size: '0x2000', async: 'u' },
    { call: 'close-device', device: 'd1', async: 'x' },
    { call: 'resume-callbacks', device: 'd0' },
    { call: 'await', of: 'u' },
    { call: 'await', of: 'x' },
  ];
  const { finding, scenario } = minimize({ id: 'race', kernel: '6.1', steps });
  expect(finding).toBe('DEADLOCK:close-device+unmap-dma');
  expect(scenario.steps.map(({ call }) => call)).toEqual([
    'open-container',
    ...['create-device', 'attach', 'create-device', 'attach'],
    ...['map-dma', 'pin-pages', 'unmap-dma', 'close-device', 'resume-callbacks'],
  ]);
});

test('what is cut short is as short as it got, and says so', () => {
  let asked = 0;
  const minimizing = new Minimizing(long(), null, () => ++asked > 20);
  atOnce(minimizing.run());
  const { whole, after, before } = minimizing.result();
  expect(whole).toBe(false);
  expect(after).toBeLessThan(before);
});

test('a trace that comes to nothing, or that is none, is refused', () => {
  const calm = { id: 'calm', kernel: '6.1', steps: long().steps.slice(0, 6) };
  expect(() => minimize(calm)).toThrow('the trace comes to no splat, deadlock or advisory');
  expect(() => minimize(long(), 'DEADLOCK')).toThrow('the trace comes to no DEADLOCK');
  const broken = { ...calm, steps: calm.steps.slice(2) };
  expect(() => minimize(broken)).toThrow('a step of the trace is no call that can be made');
  expect(callOf(calm.steps[0]!)).toEqual({ call: 'open-container', container: 'c0' });
});
