import { describe, expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import type { StartedCall } from '../../src/machine/call-task.ts';
import { CoreRig } from '../harness/core-rig.ts';
import { TYPE1_GENERATIONS } from '../harness/kernels.ts';
import { type Args, synthetic } from '../harness/test-rig.ts';

/** What a call came to: `ok`, an errno, `killed`, `hangs`, or `waiting` while it is under way. */
function outcome({ answer }: StartedCall): string {
  if (!answer) return 'waiting';
  const { status, body } = toReply(answer);
  if (status === 423) return 'hangs';
  return body.killed ? 'killed' : ((body.errno as string | undefined) ?? 'ok');
}

/**
 * A container with pinned mappings at 0x1000 and 0x8000, an unpinned one at 0x4000, an open device d0 that holds
 * its callback, an open listener d1, closed devices d2 (listens) and d3 (does not), and an unmap of 0x1000 that
 * waits in d0's callback.
 */
function inCallback(rig: CoreRig) {
  const call = (name: string, args: Args) => rig.start(name, args);
  const map = (iova: number, size = 0x1000) => call('map-dma', { iova, vaddr: '0x10000000', size, flags: 3 });
  const unmap = (iova: number, size = 0x1000) => call('unmap-dma', { iova, size });
  const pin = (device: string, iova: number) => call('pin-pages', { device, iova, npage: 1, prot: 3 });
  rig.do('open-container');
  rig.create('d1', synthetic('unpin-range'));
  rig.create('d0', synthetic('unpin-range', { holdCallbacks: true }));
  rig.create('d2', synthetic('unpin-range'));
  rig.create('d3', synthetic('no-callback'));
  for (const device of ['d1', 'd0']) rig.do('open-device', { device });
  for (const iova of [0x1000, 0x4000, 0x8000]) map(iova);
  pin('d0', 0x1000);
  pin('d1', 0x8000);
  const first = unmap(0x1000);
  expect(outcome(first)).toBe('waiting');
  return { call, map, unmap, pin, first, resume: () => call('resume-callbacks', { device: 'd0' }) };
}

describe.each(TYPE1_GENERATIONS)('Linux $version, while a callback is under way', (gen) => {
  const notifiers = gen.type1.channel === 'notifier-chain';
  const rig = () => inCallback(new CoreRig(gen.version));

  test('map, pin, unmap of an unpinned mapping and opening a silent device go through', () => {
    const { call, map, unmap, pin, first, resume } = rig();
    const seen = [
      map(0x20000),
      pin('d1', 0x4000),
      call('unpin-pages', { device: 'd1', iova: 0x4000, npage: 1 }),
    ];
    seen.push(unmap(0x4000), call('open-device', { device: 'd3' }));
    expect(seen.map(outcome)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
    resume();
    expect(outcome(first)).toBe('ok');
  });

  test.each([
    ['opening a device that listens', 'open-device', { device: 'd2' }],
    ['closing a device that listens for the last time', 'close-device', { device: 'd1' }],
  ])('%s waits; the callback’s unpin then ends well or deadlocks', (_name, name, args) => {
    const { call, first, resume } = rig();
    const second = call(name, args);
    expect(outcome(second)).toBe('waiting');
    resume();
    const both = [outcome(first), outcome(second)];
    expect(both).toEqual(notifiers ? ['ok', 'ok'] : ['EDEADLK', 'EDEADLK']);
    expect(outcome(call('iommu-info', { container: 'c0' }))).toBe(notifiers ? 'ok' : 'hangs');
  });

  test.runIf(!notifiers)(
    'a deadlock names each call of the cycle, what it holds and what it waits for',
    () => {
      const { call, first, resume } = rig();
      const second = call('close-device', { device: 'd1' });
      resume();
      const [one, other] = [first, second].map(({ answer }) => toReply(answer!).body);
      const [list, lock] = ['container c0 device_list_lock', 'container c0 iommu->lock'];
      expect(one!.splat).toEqual({
        kind: 'DEADLOCK',
        function: 'vfio_iommu_type1',
        condition:
          `unmap-dma holds ${list} and waits for ${lock}; ` +
          `close-device of d1 holds group g0 group_lock and ${lock} and waits for ${list}`,
        tasks: [
          { call: 'unmap-dma', holds: [list], waitsFor: lock },
          { call: 'close-device', device: 'd1', holds: ['group g0 group_lock', lock], waitsFor: list },
        ],
      });
      expect(other!.splat).toEqual(one!.splat);
    },
  );

  test('an unmap of another pinned mapping runs beside it, or deadlocks', () => {
    const { unmap, first, resume } = rig();
    const second = unmap(0x8000);
    expect(outcome(second)).toBe(notifiers ? 'ok' : 'waiting');
    resume();
    expect([first, second].map(outcome)).toEqual(notifiers ? ['ok', 'ok'] : ['EDEADLK', 'EDEADLK']);
  });

  test('without the callback’s unpin there is no cycle: the waiting call ends when the round does', () => {
    const { call, first, resume } = rig();
    call('unpin-pages', { device: 'd0', iova: 0x1000, npage: 1 });
    const second = call('open-device', { device: 'd2' });
    expect(outcome(second)).toBe('waiting');
    resume();
    expect([first, second].map(outcome)).toEqual(['ok', 'ok']);
  });
});

test.each(TYPE1_GENERATIONS)(
  'Linux $version: a bisecting map during the callback of [0x1000, 0x4000)',
  (gen) => {
    const d0 = synthetic('unpin-range', { holdCallbacks: true });
    const rig = new CoreRig(gen.version, { d0 });
    const vaddr = '0x10000000';
    rig.map(0x1000, 0x1000, { vaddr });
    rig.map(0x2000, 0x1000, { vaddr });
    rig.pin(0x2000);
    const unmap = rig.start('unmap-dma', { iova: 0x1000, size: 0x3000 });
    rig.map(0x3000, 0x2000, { vaddr });
    rig.do('resume-callbacks', { device: 'd0' });
    const { body } = toReply(unmap.answer!);
    if (gen.version === '5.10') {
      expect(body.errno).toBe('EINVAL');
      expect(body.advisories).toBeUndefined();
    } else {
      expect([body.errno, body.size]).toEqual([undefined, '0x1000']);
      expect(body.advisories).toEqual([
        expect.objectContaining({ kind: 'KERNEL_BUG:success-when-bisected' }),
      ]);
    }
    expect(rig.host.machine.container('c0').view?.mappingCount).toBe(2);
  },
);
