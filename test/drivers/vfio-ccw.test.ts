import { describe, expect, test } from 'vitest';
import { b1, bugOf, CoreRig } from '../harness/core-rig.ts';
import { CC, ccw, poke, READ, SUSPEND, WRITE } from './channel-programs.ts';

const PROGRAM = 0x40000;

/** One CCW device, the mapping [0x10000, 0x20000), and a program that transfers at each of `data`, and is held. */
function ccwRig(variant: string, data: number[], more: object = {}, version = '6.1'): CoreRig {
  const rig = new CoreRig(version, { ccw: { type: 'vfio-ccw', variant, ...more } });
  rig.map(0x10000, 0x10000);
  rig.map(PROGRAM, 0x1000);
  const last = data.length - 1;
  poke(rig, PROGRAM, ...data.map((cda, i) => ccw(READ, (i < last ? CC : 0) | SUSPEND, 0x10, cda)));
  return rig;
}

/** The same, with the program started. */
function running(variant: string, data: number[], more: object = {}, version = '6.1'): CoreRig {
  const rig = ccwRig(variant, data, more, version);
  rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
  return rig;
}

function fsm(rig: CoreRig): unknown {
  return (rig.host.machine.device('ccw').driver.state!(1) as { fsm: string }).fsm;
}

describe('vfio-ccw, case 58', () => {
  test('case 58: v5.19, CCW at 0x14000, I/O pending: B1', () => {
    expect(bugOf(running('notifier', [0x14000]).unmap(0x10000, 0x10000))).toEqual(b1(11));
  });

  test('case 58: v5.19, CCW at 0x10000: reset, success', () => {
    const rig = running('notifier', [0x10000]);
    const reply = rig.unmap(0x10000, 0x10000);
    expect(reply).toMatchObject({ status: 200, body: { size: '0x10000' } });
    expect(reply.body.invalidations).toHaveLength(1);
    expect(fsm(rig)).toBe('IDLE');
  });

  test.each([0x14000, 0x10000])(
    'case 58: v6.1, CCW at %i: reset, success; pins of other mappings go too',
    (cda) => {
      const rig = ccwRig('range', [cda, 0x88000]);
      rig.map(0x80000, 0x10000);
      rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
      expect(rig.pins()).toHaveLength(2);
      const reply = rig.unmap(0x10000, 0x10000);
      expect(reply.status).toBe(200);
      expect(reply.body.invalidations).toHaveLength(1);
      expect(rig.pins()).toEqual([]);
      expect(fsm(rig)).toBe('IDLE');
    },
  );
});

test('case 59: a pin that landed in the wrong mapping matches no page of it: B1', () => {
  const rig = new CoreRig('6.1', { ccw: { type: 'vfio-ccw', variant: 'range' } });
  rig.map(0x2000, 0x1000);
  rig.map(0x1000, 0x1000);
  rig.map(PROGRAM, 0x1000);
  poke(rig, PROGRAM, ccw(READ, 0, 0x10, 0x1800));
  rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
  expect(rig.unmap(0x1000, 0x1000)).toMatchObject({ status: 200, body: { invalidations: [] } });
  expect(bugOf(rig.unmap(0x2000, 0x1000))).toEqual(b1(11));
});

describe('vfio-ccw, dma_unmap', () => {
  test('story 2: as posted, page 5 of the mapping pinned: 11 callbacks, BUG_ON', () => {
    const rig = running('callback-first-page', [0x15000]);
    expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(11));
    expect(rig.pins()).toEqual([['0x15000', 1]]);
  });

  test('(b) with the first page pinned it resets, which unpins all', () => {
    const rig = running('callback-first-page', [0x10ff8, 0x15000]);
    expect(rig.unmap(0x10000, 0x10000).status).toBe(200);
    expect(fsm(rig)).toBe('IDLE');
  });

  test('(c) leaves a program alone that has nothing in the range', () => {
    const rig = running('range', [0x12000]);
    rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range' });
    rig.map(0x80000, 0x1000);
    rig.do('pin-pages', { device: 'd', iova: 0x80000, npage: 1, prot: 3 });
    expect(rig.unmap(0x80000, 0x1000).body.invalidations).toHaveLength(2);
    expect(fsm(rig)).toBe('CP_PENDING');
    expect(rig.pins()).toEqual([['0x12000', 1]]);
  });

  test('(c) matches the last page of the range, and not the one after', () => {
    const rig = ccwRig('range', [0x1f000]);
    rig.map(0x20000, 0x1000);
    rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
    rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range' });
    rig.do('pin-pages', { device: 'd', iova: 0x20000, npage: 1, prot: 3 });
    expect(rig.unmap(0x20000, 0x1000).body.invalidations).toHaveLength(2);
    expect(fsm(rig)).toBe('CP_PENDING');
    expect(rig.unmap(0x10000, 0x10000).body.invalidations).toHaveLength(2);
    expect(fsm(rig)).toBe('IDLE');
  });

  test('(c) does not match the page after the range', () => {
    const rig = ccwRig('range', [0x20000]);
    rig.map(0x20000, 0x1000);
    rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
    rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range' });
    rig.do('pin-pages', { device: 'd', iova: 0x10000, npage: 1, prot: 3 });
    expect(rig.unmap(0x10000, 0x10000).body.invalidations).toHaveLength(2);
    expect(fsm(rig)).toBe('CP_PENDING');
  });

  test('(a) the reset fails: NOTIFY_BAD, NOT_OPER, pins stay; 6.1 does not look at it and asks again', () => {
    const rig = running('notifier', [0x10000]);
    rig.do('ccw-inject', { device: 'ccw', operation: 'quiesce', times: 2 });
    const reply = rig.unmap(0x10000, 0x10000);
    expect(reply.status).toBe(200);
    expect(reply.body.invalidations).toHaveLength(3);
    expect(fsm(rig)).toBe('IDLE');
  });

  test('(a) a reset that always fails ends in the BUG_ON', () => {
    const rig = running('notifier', [0x10000]);
    rig.do('ccw-inject', { device: 'ccw', operation: 'quiesce', times: 11 });
    expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(11));
    expect(fsm(rig)).toBe('NOT_OPER');
  });

  test('(a) on a notifier chain NOTIFY_BAD keeps the callback from the devices opened later', () => {
    const rig = running('notifier', [0x10000], {}, '5.10');
    rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range' });
    rig.do('pin-pages', { device: 'd', iova: 0x10000, npage: 1, prot: 3 });
    rig.do('ccw-inject', { device: 'ccw', operation: 'quiesce' });
    const { status, body } = rig.unmap(0x10000, 0x10000);
    expect(status).toBe(200);
    expect((body.invalidations as { device: string }[]).map(({ device }) => device)).toEqual([
      'ccw',
      'ccw',
      'd',
    ]);
  });

  test.each(['quiesce', 'enable'])('(c) 6.1.0: %s fails: NOT_OPER, but unpinned at once', (operation) => {
    const rig = running('range', [0x14000]);
    rig.do('ccw-inject', { device: 'ccw', operation });
    const reply = rig.unmap(0x10000, 0x10000);
    expect(reply.status).toBe(200);
    expect(reply.body.invalidations).toHaveLength(1);
    expect(fsm(rig)).toBe('NOT_OPER');
  });
});

describe('vfio-ccw, the deferred unpin of 6.1.192', () => {
  /** The next close finds the subchannel not operational. */
  const deferred = (more: object = {}) => {
    const rig = running('range-deferred', [0x14000], more);
    rig.do('ccw-inject', { device: 'ccw', operation: 'quiesce' });
    return rig;
  };

  test('a reset that works unpins at once', () => {
    const rig = running('range-deferred', [0x14000]);
    expect(rig.unmap(0x10000, 0x10000).body.invalidations).toHaveLength(1);
  });

  test('work that does not run within 11 rounds: B1', () => {
    const rig = deferred();
    expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(11));
    expect(fsm(rig)).toBe('NOT_OPER');
  });

  test.each([1, 5, 10])('work that runs by the %ith callback later is in time', (n) => {
    const reply = deferred({ workAfterCallbacks: n }).unmap(0x10000, 0x10000);
    expect(reply.status).toBe(200);
    expect(reply.body.invalidations).toHaveLength(n + 1);
  });

  test('by the 11th it is not', () => {
    expect(bugOf(deferred({ workAfterCallbacks: 11 }).unmap(0x10000, 0x10000))).toEqual(b1(11));
  });

  test('ccw-run-work within the round is in time', () => {
    const rig = new CoreRig('6.1', {
      d: { type: 'synthetic', onDmaUnmap: 'ignore', holdCallbacks: true },
      ccw: { type: 'vfio-ccw', variant: 'range-deferred' },
    });
    rig.map(0x10000, 0x10000);
    rig.map(PROGRAM, 0x1000);
    poke(rig, PROGRAM, ccw(READ, SUSPEND, 0x10, 0x14000));
    rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
    rig.do('ccw-inject', { device: 'ccw', operation: 'disable' });
    // ccw is called first and finds the subchannel not operational; d then holds the round.
    const unmap = rig.start('unmap-dma', { iova: 0x10000, size: 0x10000 });
    expect(unmap.answer).toBeNull();
    expect(rig.do('ccw-run-work', { device: 'ccw' }).ran).toBe(true);
    rig.do('resume-callbacks', { device: 'd' });
    expect(unmap.answer).toMatchObject({ end: { how: 'returned', value: { size: '0x10000' } } });
    expect(unmap.delivered()).toHaveLength(2);
  });

  test('ccw-run-work after a failed reset unpins; a second time there is nothing to do', () => {
    const rig = deferred();
    expect(rig.errno('ccw-reset', { device: 'ccw' })).toBe('EINVAL');
    expect(rig.pins()).toEqual([['0x14000', 1]]);
    expect(rig.do('ccw-run-work', { device: 'ccw' })).toMatchObject({
      ran: true,
      fsm: 'NOT_OPER',
      pinned: [],
      pinnedPages: 0,
    });
    expect(rig.pins()).toEqual([]);
    expect(rig.do('ccw-run-work', { device: 'ccw' }).ran).toBe(false);
    expect(rig.unmap(0x10000, 0x10000)).toMatchObject({ status: 200, body: { invalidations: [] } });
  });

  test('D1: close waits for the work, so that nothing leaks and the mapping can go', () => {
    const rig = deferred();
    expect(rig.do('close-device', { device: 'ccw' })).toMatchObject({
      vfio: [{ op: 'unpin', device: 'ccw', iova: '0x14000', npage: 1, by: 'worker' }],
    });
    expect(rig.pins()).toEqual([]);
    expect(rig.do('ccw-run-work', { device: 'ccw' }).ran).toBe(false);
    expect(rig.unmap(0x10000, 0x10000)).toMatchObject({ status: 200, body: { size: '0x10000' } });
  });
});

describe('vfio-ccw, states', () => {
  test('a start in each state: EBUSY while pending, EIO while not operational', () => {
    const rig = running('range', [0x10000]);
    expect(rig.errno('ccw-start', { device: 'ccw', program: PROGRAM })).toBe('EBUSY');
    expect(rig.do('ccw-interrupt', { device: 'ccw' })).toMatchObject({
      fsm: 'IDLE',
      pinned: [],
      pinnedPages: 0,
    });
    rig.do('ccw-inject', { device: 'ccw', operation: 'enable' });
    expect(rig.errno('ccw-reset', { device: 'ccw' })).toBe('EINVAL');
    for (const call of ['ccw-halt', 'ccw-clear'])
      expect(rig.errno(call, { device: 'ccw' }), call).toBe('EIO');
    expect(rig.errno('ccw-start', { device: 'ccw', program: PROGRAM })).toBe('EIO');
  });

  test('a device that is not operational cannot be opened again', () => {
    const rig = running('range', [0x10000]);
    rig.do('ccw-inject', { device: 'ccw', operation: 'quiesce' });
    rig.do('close-device', { device: 'ccw' });
    expect(rig.pins()).toEqual([]);
    expect(rig.errno('open-device', { device: 'ccw' })).toBe('EINVAL');
  });

  test('enabling fails at open: EINVAL', () => {
    const rig = new CoreRig('6.1', {});
    rig.create('ccw', { type: 'vfio-ccw', variant: 'range' });
    rig.do('ccw-inject', { device: 'ccw', operation: 'enable', errno: 'ENODEV' });
    expect(rig.errno('open-device', { device: 'ccw' })).toBe('EINVAL');
  });

  test.each(['ccw-halt', 'ccw-clear'])('%s leaves the pages until the interrupt', (call) => {
    const rig = running('range', [0x10000]);
    expect(rig.do(call, { device: 'ccw' })).toMatchObject({ fsm: 'CP_PENDING', pinnedPages: 1 });
    expect(rig.do('ccw-interrupt', { device: 'ccw' })).toMatchObject({ fsm: 'IDLE', pinnedPages: 0 });
    rig.do('ccw-inject', { device: 'ccw', operation: call.slice(4), errno: 'EBUSY' });
    expect(rig.errno(call, { device: 'ccw' })).toBe('EBUSY');
  });

  test('a start that the channel subsystem refuses unpins everything', () => {
    const rig = ccwRig('range', [0x10000]);
    rig.do('ccw-inject', { device: 'ccw', operation: 'start', errno: 'EACCES' });
    expect(rig.errno('ccw-start', { device: 'ccw', program: PROGRAM })).toBe('EACCES');
    expect([fsm(rig), rig.pins()]).toEqual(['IDLE', []]);
  });

  test.each(['callback-first-page', 'range', 'range-deferred'])('%s: reset and close release', (variant) => {
    const rig = running(variant, [0x10000, 0x14000]);
    expect(rig.do('ccw-reset', { device: 'ccw' })).toMatchObject({ fsm: 'IDLE', pinned: [], pinnedPages: 0 });
    expect(rig.pins()).toEqual([]);
    rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
    expect(rig.pins()).toHaveLength(2);
    rig.do('close-device', { device: 'ccw' });
    expect([fsm(rig), rig.pins()]).toEqual(['STANDBY', []]);
    rig.do('open-device', { device: 'ccw' });
    expect(fsm(rig)).toBe('IDLE');
  });

  test('a reset leaves nothing to quiesce: an injected failure waits for the next program', () => {
    const rig = running('range', [0x10000]);
    rig.do('ccw-reset', { device: 'ccw' });
    rig.do('ccw-inject', { device: 'ccw', operation: 'quiesce' });
    expect(rig.do('ccw-reset', { device: 'ccw' }).fsm).toBe('IDLE');
    rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
    expect(rig.errno('ccw-reset', { device: 'ccw' })).toBe('EINVAL');
  });

  test('an interrupt without a program changes nothing', () => {
    const rig = ccwRig('range', [0x10000]);
    expect(rig.do('ccw-interrupt', { device: 'ccw' })).toMatchObject({
      fsm: 'IDLE',
      pinned: [],
      pinnedPages: 0,
    });
    rig.do('close-device', { device: 'ccw' });
    expect(rig.do('ccw-interrupt', { device: 'ccw' })).toMatchObject({ fsm: 'STANDBY' });
  });

  test('with the device closed its regions and ioctls are EBADF', () => {
    const rig = ccwRig('range', [0x10000]);
    rig.do('close-device', { device: 'ccw' });
    expect(rig.errno('ccw-start', { device: 'ccw', program: PROGRAM })).toBe('EBADF');
    for (const call of ['ccw-halt', 'ccw-clear', 'ccw-reset']) {
      expect(rig.errno(call, { device: 'ccw' }), call).toBe('EBADF');
    }
  });

  test('a start while another one waits for the lock is EAGAIN', () => {
    const rig = ccwRig('range', [0x12000]);
    rig.map(0x80000, 0x1000);
    rig.map(0x90000, 0x1000);
    rig.attach('d', { type: 'synthetic', onDmaUnmap: 'ignore', holdCallbacks: true });
    for (const iova of [0x80000, 0x90000]) rig.do('pin-pages', { device: 'd', iova, npage: 1, prot: 3 });
    // The first unmap's round is held; the second holds iommu->lock and waits for the round to end.
    rig.start('unmap-dma', { iova: 0x80000, size: 0x1000 });
    rig.start('unmap-dma', { iova: 0x90000, size: 0x1000 });
    const start = rig.start('ccw-start', { device: 'ccw', program: PROGRAM });
    expect(start.answer).toBeNull();
    expect(fsm(rig)).toBe('CP_PROCESSING');
    expect(rig.errno('ccw-start', { device: 'ccw', program: PROGRAM })).toBe('EAGAIN');
    expect(rig.errno('ccw-halt', { device: 'ccw' })).toBe('EAGAIN');
  });
});

test('a write CCW pins as a read CCW does', () => {
  const rig = ccwRig('range', []);
  poke(rig, PROGRAM, ccw(WRITE, 0, 0x10, 0x10000));
  expect(rig.do('ccw-start', { device: 'ccw', program: PROGRAM }).pinnedPages).toBe(1);
});
