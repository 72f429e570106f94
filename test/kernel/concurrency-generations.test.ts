import { describe, expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import type { Host } from '../../src/host/host.ts';
import type { StartedCall } from '../../src/machine/call-task.ts';
import { hostOf } from '../harness/host.ts';
import { TYPE1_GENERATIONS } from '../harness/kernels.ts';

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
function inCallback(host: Host) {
  const call = (name: string, args: Record<string, unknown>) => host.start({ call: name, ...args });
  const device = (id: string, onDmaUnmap: string, holdCallbacks = false) => {
    call('create-device', { device: id, driver: { type: 'synthetic', onDmaUnmap, holdCallbacks } });
    call('open-group', { device: id });
    call('set-container', { device: id, container: 'c0' });
    if (id === 'd1') call('set-iommu', { container: 'c0', type: 3 });
  };
  const map = (iova: number, size = 0x1000) =>
    call('map-dma', { container: 'c0', iova, vaddr: '0x10000000', size, flags: 3 });
  const unmap = (iova: number, size = 0x1000) => call('unmap-dma', { container: 'c0', iova, size });
  const pin = (id: string, iova: number) => call('pin-pages', { device: id, iova, npage: 1, prot: 3 });
  call('open-container', { container: 'c0' });
  device('d1', 'unpin-range');
  device('d0', 'unpin-range', true);
  device('d2', 'unpin-range');
  device('d3', 'no-callback');
  call('open-device', { device: 'd1' });
  call('open-device', { device: 'd0' });
  for (const iova of [0x1000, 0x4000, 0x8000]) map(iova);
  pin('d0', 0x1000);
  pin('d1', 0x8000);
  const first = unmap(0x1000);
  expect(outcome(first)).toBe('waiting');
  return { call, map, unmap, pin, first, resume: () => call('resume-callbacks', { device: 'd0' }) };
}

describe.each(TYPE1_GENERATIONS)('Linux $version, while a callback is under way', (gen) => {
  const notifiers = gen.type1.channel === 'notifier-chain';
  const rig = () => inCallback(hostOf(gen));

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
    const host = hostOf(gen);
    const call = (name: string, args: Record<string, unknown>) => host.start({ call: name, ...args });
    call('open-container', { container: 'c0' });
    call('create-device', {
      device: 'd0',
      driver: { type: 'synthetic', onDmaUnmap: 'unpin-range', holdCallbacks: true },
    });
    call('open-group', { device: 'd0' });
    call('set-container', { device: 'd0', container: 'c0' });
    call('set-iommu', { container: 'c0', type: 3 });
    call('open-device', { device: 'd0' });
    const map = (iova: number, size: number) =>
      call('map-dma', { container: 'c0', iova, vaddr: '0x10000000', size, flags: 3 });
    map(0x1000, 0x1000);
    map(0x2000, 0x1000);
    call('pin-pages', { device: 'd0', iova: 0x2000, npage: 1, prot: 3 });
    const unmap = call('unmap-dma', { container: 'c0', iova: 0x1000, size: 0x3000 });
    expect(outcome(map(0x3000, 0x2000))).toBe('ok');
    call('resume-callbacks', { device: 'd0' });
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
    expect(host.machine.container('c0').view?.mappingCount).toBe(2);
  },
);
