import { describe, expect, test } from 'vitest';
import type { Driver } from '../../schemas/drivers/index.ts';
import type { AlsoName } from '../../schemas/explore.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { replay } from '../../src/replay/replay.ts';
import { explore, synthetic } from '../harness/explore.ts';

const HELD = synthetic('unpin-range', { holdCallbacks: true });
const OTHER = synthetic('unpin-range');

/** What the explorer finds by itself: where, the goal, and the calls of the shortest trace. */
const KNOWN: readonly [
  what: string,
  kernel: string,
  Driver[],
  goal: string,
  calls: string[],
  pages?: number,
][] = [
  [
    'vfio-ccw as first posted: a pin that is not in the first page of the mapping',
    '6.1',
    [{ type: 'vfio-ccw', variant: 'callback-first-page' }],
    'BUG_ON',
    ['map-dma', 'ccw-start', 'unmap-dma'],
  ],
  [
    'vfio-ap of 6.1 at a byte offset',
    '6.1',
    [{ type: 'vfio-ap' }],
    'BUG_ON',
    ['map-dma', 'ap-enable-interrupt', 'unmap-dma'],
  ],
  [
    'a misaligned pin that lands in the neighbouring mapping',
    '6.1',
    [OTHER],
    'ADVISORY:MISALIGNED_PIN',
    ['map-dma', 'pin-pages'],
  ],
  [
    'a page of 2 MiB of GVT-g that straddles two mappings',
    '6.1',
    [{ type: 'gvt-g' }],
    'BUG_ON',
    ['map-dma', 'map-dma', 'gvt-map-page', 'unmap-dma'],
  ],
  [
    'an unpin of what another device holds',
    '6.1',
    [OTHER, synthetic('ignore')],
    'ADVISORY:FOREIGN_UNPIN',
    ['map-dma', 'pin-pages', 'unpin-pages'],
  ],
  [
    'an IDA list of vfio-ccw that releases another device’s page',
    '6.1',
    [{ type: 'vfio-ccw' }, { type: 'vfio-ccw' }],
    'ADVISORY:FOREIGN_UNPIN',
    ['map-dma', 'ccw-start', 'ccw-start'],
  ],
  [
    'a pin that is left with no device to tell',
    '6.1',
    [OTHER],
    'BUG_ON:B1:nobody-left',
    ['map-dma', 'pin-pages', 'close-device', 'unmap-dma'],
  ],
  [
    'the deadlock with a close',
    '6.1',
    [HELD, OTHER],
    'DEADLOCK:close-device+unmap-dma',
    ['map-dma', 'pin-pages', 'unmap-dma', 'close-device', 'resume-callbacks'],
    1,
  ],
  [
    'the deadlock with an open',
    '6.1',
    [HELD, OTHER],
    'DEADLOCK:open-device+unmap-dma',
    ['close-device', 'map-dma', 'pin-pages', 'unmap-dma', 'open-device', 'resume-callbacks'],
    1,
  ],
  [
    'the deadlock with another unmap',
    '6.1',
    [HELD],
    'DEADLOCK:unmap-dma+unmap-dma',
    ['map-dma', 'pin-pages', 'unmap-dma', 'unmap-dma', 'resume-callbacks'],
    1,
  ],
  [
    'a driver on a notifier chain that keeps the callback from the others',
    '5.10',
    [{ type: 'vfio-ccw' }, OTHER],
    'BUG_ON:B1:not-called',
    ['map-dma', 'ccw-start', 'ccw-inject', 'pin-pages', 'unmap-dma'],
    1,
  ],
  [
    'a map during a callback that turns EINVAL into success',
    '6.1',
    [HELD],
    'ADVISORY:KERNEL_BUG:success-when-bisected',
    ['map-dma', 'pin-pages', 'unmap-dma', 'map-dma', 'resume-callbacks'],
    3,
  ],
];

describe('finds by itself', () => {
  test.each(KNOWN)('%s', (_what, kernel, drivers, goal, calls, pages = 2) => {
    const found = explore({ kernel, drivers, goal, pages, depth: 6 });
    expect(found.ended).toBe('goal');
    const trace = found.traces.at(-1)!;
    const names = trace.steps.filter(({ call }) => call !== 'await').map(({ call }) => call);
    expect([...names.slice(-calls.length)].sort()).toEqual([...calls].sort());
    // The trace is whole: on a machine of its own it comes to the same.
    expect(replay(new Machine(generationOf(kernel)!), trace)).toEqual([]);
  });
});

/** What is found only where its kind of calls is asked for: kinds, kernel, driver, the goal, and its calls. */
const ASKED_FOR: readonly [also: AlsoName[], kernel: string, Driver, goal: string, calls: string[]][] = [
  [['pci'], '5.10', OTHER, 'BUG_ON:C11', ['bind-device']],
  [
    ['pci', 'vaddr'],
    '6.1',
    OTHER,
    'WARN_ON:W1',
    ['map-dma', 'close-device', 'unset-container', 'unmap-dma', 'pin-pages'],
  ],
  [['processes'], '6.12-iommufd', OTHER, 'WARN_ON:F2', ['map-dma', 'pin-pages', 'exit-process']],
  [['removal'], '5.10', OTHER, 'ADVISORY:UNPIN_NOT_PINNED', ['map-dma', 'unpin-pages']],
  [
    ['faults'],
    '7.2',
    { type: 'vfio-ap', variant: 'range' },
    'BUG_ON:B1',
    ['map-dma', 'ap-enable-interrupt', 'add-fault', 'unmap-dma'],
  ],
  [['responses'], '7.2', { type: 'vfio-ap' }, 'WARN_ON:A11', ['ap-inject', 'close-device']],
  [
    ['hold'],
    '5.10',
    { type: 'vfio-ccw' },
    'WARN_ON:W6',
    ['ccw-hold', 'ccw-start', 'close-device', 'unset-container'],
  ],
];

describe('finds what is asked for', () => {
  test.each(ASKED_FOR)('%j on %s', (also, kernel, driver, goal, calls) => {
    const found = explore({ kernel, drivers: [driver], goal, pages: 1, depth: 5, also });
    expect(found.ended).toBe('goal');
    const trace = found.traces.find(({ id }) => id === goal)!;
    const names = trace.steps.filter(({ call }) => call !== 'await').map(({ call }) => call);
    expect([...names.slice(-calls.length)].sort()).toEqual([...calls].sort());
    expect(replay(new Machine(generationOf(kernel)!), trace)).toEqual([]);
  });

  test('dirty tracking and a limit of memory: each is a state of its own', () => {
    const states = (...also: AlsoName[]) => explore({ drivers: [OTHER], pages: 1, depth: 3, also }).states;
    const none = states();
    expect(states('dirty')).toBeGreaterThan(none);
    expect(states('memlock')).toBeGreaterThan(none);
  });
});

describe('says how far it has looked', () => {
  test('where the goal is not within the depth', () => {
    const { ended, hits, depth } = explore({ drivers: [OTHER], goal: 'BUG_ON', depth: 2 });
    expect([ended, hits, depth]).toEqual(['depth', [], 2]);
  });

  test('where there is nothing more to be reached', () => {
    const { ended, hits } = explore({ drivers: [{ type: 'mtty' }], goal: 'BUG_ON', pages: 1, depth: 99 });
    expect([ended, hits]).toEqual(['exhausted', []]);
  });

  test('where the memory is full', () => {
    const { ended, states } = explore({
      drivers: [HELD, OTHER],
      goal: 'BUG_ON:none',
      memory: 6000,
      depth: 9,
    });
    expect(ended).toBe('memory');
    expect(states).toBeLessThan(300);
  });

  test('two devices that are alike are not told apart: fewer states, the same findings at the same lengths', () => {
    const alike = explore({ drivers: [OTHER, OTHER], pages: 1, depth: 4 });
    const told = explore({ drivers: [OTHER, { ...OTHER, ignoreFirst: 0 } as Driver], pages: 1, depth: 4 });
    expect(alike.lengths).toEqual(told.lengths);
    expect(alike.states).toBeLessThan(told.states);
  });
});
