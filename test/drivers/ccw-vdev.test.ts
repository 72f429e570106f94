import { expect, test } from 'vitest';
import { Vdev } from '../../src/drivers/vfio-ccw/vdev.ts';

type Answer = string | number | null | number[];

/** A device whose calls into VFIO are answered so, one after the other; what they were asked for. */
function vdevOf(answers: Answer[], { held = new Map<bigint, number>(), worker = false } = {}) {
  const asked: string[] = [];
  const effects: Record<string, unknown> = {};
  const call = (name: string) =>
    function* (iova: bigint, npage: number) {
      asked.push(`${name} 0x${iova.toString(16)} ${npage}`);
      return answers.shift();
    };
  const api = { effects, pinPages: call('pin'), unpinPages: call('unpin') };
  const vdev = new Vdev(api as never, 'd0', held, worker, { at: null });
  const through = <T>(steps: Generator<unknown, T>): T => {
    const { done, value } = steps.next();
    if (!done) throw new Error('it waits');
    return value;
  };
  return { vdev, asked, effects, held, through };
}
const heldIn = (held: Map<bigint, number>) =>
  [...held].map(([key, times]) => `0x${key.toString(16)} ×${times}`);

test('pages that were pinned are held, a page as often as it was pinned, and listed with what came of it', () => {
  const { vdev, effects, held, through } = vdevOf([[7, 8], [9], 'EINVAL']);
  expect(through(vdev.pinPages(0x1800n, 2))).toEqual([7, 8]);
  expect(through(vdev.pinPages(0x2800n, 1))).toEqual([9]);
  expect(through(vdev.pinPages(0x5000n, 3))).toBe('EINVAL');
  expect(heldIn(held)).toEqual(['0x1800 ×1', '0x2800 ×2']);
  expect(effects.vfio).toEqual([
    { op: 'pin', device: 'd0', iova: '0x1800', npage: 2, ret: 2 },
    { op: 'pin', device: 'd0', iova: '0x2800', npage: 1, ret: 1 },
    { op: 'pin', device: 'd0', iova: '0x5000', npage: 3, ret: -22 },
  ]);
});

test('pages that are given back and were not held are somebody else’s: in runs, and none where all were held', () => {
  const held = new Map([
    [0x1000n, 2],
    [0x3000n, 1],
  ]);
  const { vdev, effects, through } = vdevOf([null, null, null], { held, worker: true });
  through(vdev.unpinPages(0x1000n, 1));
  expect([heldIn(held), effects.unpinnedNotHeld]).toEqual([['0x1000 ×1', '0x3000 ×1'], undefined]);
  through(vdev.unpinPages(0x1000n, 6));
  expect(heldIn(held)).toEqual([]);
  expect(effects.unpinnedNotHeld).toEqual([
    { device: 'd0', iova: '0x2000', npage: 1 },
    { device: 'd0', iova: '0x4000', npage: 3 },
  ]);
  through(vdev.unpinPages(0x1000n, 1));
  expect(effects.unpinnedNotHeld).toHaveLength(3);
  expect(effects.vfio).toMatchObject([{ op: 'unpin', by: 'worker' }, { npage: 6 }, { npage: 1 }]);
});

test('page frames are pinned in runs, all or none: those before the one that failed are given back', () => {
  const { vdev, asked, effects, held, through } = vdevOf([[1, 2], [3], 'EFAULT', null, null]);
  expect(through(vdev.pinFrames([0x10, 0x11, 0x20, 0x30, 0x31]))).toBe('EFAULT');
  expect(asked).toEqual([
    'pin 0x10000 2',
    'pin 0x20000 1',
    'pin 0x30000 2',
    'unpin 0x10000 2',
    'unpin 0x20000 1',
  ]);
  expect([heldIn(held), effects.vfio]).toEqual([
    [],
    [
      {
        ...{ op: 'pin', device: 'd0', npage: 5, ret: -14 },
        iovas: ['0x10000', '0x11000', '0x20000', '0x30000', '0x31000'],
      },
    ],
  ]);
  const good = vdevOf([[1, 2], [3]]);
  expect(good.through(good.vdev.pinFrames([0x10, 0x11, 0x20]))).toEqual([1, 2, 3]);
  expect(heldIn(good.held)).toEqual(['0x10000 ×1', '0x11000 ×1', '0x20000 ×1']);
});

test.each<[string, Answer[], number | undefined, number]>([
  ['all of them', [2, 1], 3, 2],
  ['the first run in part', [1], 1, 1],
  ['nothing of the first run', ['EINVAL'], -22, 1],
  ['the second not at all', [2, 'EINVAL'], 2, 2],
  ['without an answer', [null, null], undefined, 2],
])('an unpin of page frames walks %s', (_, answers, ret, calls) => {
  const { vdev, asked, effects, through } = vdevOf([...answers]);
  through(vdev.unpinFrames([0x10, 0x11, 0x20]));
  expect(asked).toHaveLength(calls);
  const [listed] = effects.vfio as { ret?: number; npage: number }[];
  expect([listed!.ret, listed!.npage]).toEqual([ret, 3]);
});

test('4096 calls are listed, those behind are made all the same', () => {
  const { vdev, asked, effects, through } = vdevOf([]);
  for (let i = 0; i < 4097; i++) through(vdev.unpinPages(0n, 0));
  expect([asked.length, (effects.vfio as unknown[]).length]).toEqual([4097, 4096]);
});

test('signals are counted by device, and taken by the one that they are for', () => {
  const { vdev, effects } = vdevOf([]);
  expect(vdev.takeSignals()).toBe(0);
  vdev.signal();
  vdev.signal();
  (effects.interruptsSignalled as Record<string, number>).d1 = 5;
  expect([vdev.takeSignals(), effects.interruptsSignalled]).toEqual([2, { d1: 5 }]);
  expect([vdev.takeSignals(), effects.interruptsSignalled]).toEqual([0, { d1: 5 }]);
  delete effects.interruptsSignalled;
  vdev.signal();
  expect([vdev.takeSignals(), effects]).toEqual([1, {}]);
});
