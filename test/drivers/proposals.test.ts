import { describe, expect, test } from 'vitest';
import { describeContainer } from '../../src/views/container.ts';
import { b1, bugOf, CoreRig, logOf } from '../harness/core-rig.ts';
import { CC, ccw, poke, READ } from './channel-programs.ts';

const KEEPER = { type: 'synthetic', onDmaUnmap: 'ignore' };

/** A rig with the mappings [0x10000, 0x20000), pinned at its start by `d`, and [0x80000, 0x90000). */
function pinned(d: object, others: Record<string, object> = {}): CoreRig {
  const rig = new CoreRig('6.1', { ...others, d });
  rig.map(0x10000, 0x10000);
  rig.map(0x80000, 0x10000);
  rig.do('pin-pages', { device: 'd', iova: 0x10000, npage: 1, prot: 3 });
  return rig;
}

describe('bugOnInvalidation', () => {
  const dead = { status: 409, killed: true, bug: 'dma_unmap', callbacks: 1 };

  test('the unmap is killed in the callback; the entry says that no kernel has this line', () => {
    const reply = pinned({ ...KEEPER, onDmaUnmap: 'unpin-range', bugOnInvalidation: true }).unmap(
      0x10000,
      0x10000,
    );
    expect(bugOf(reply)).toEqual(dead);
    expect(reply.body.splat).toEqual({
      kind: 'BUG_ON',
      function: 'dma_unmap',
      condition: '1',
      file: 'proposal',
      line: 0,
      device: 'd',
      iova: '0x10000',
      size: '0x10000',
    });
  });

  test.each([
    { type: 'vfio-ap', variant: 'range' },
    { type: 'vfio-ccw', variant: 'range-deferred' },
    { type: 'gvt-g', variant: 'callback' },
  ])('a $type may have it', (driver) => {
    expect(bugOf(pinned({ ...driver, bugOnInvalidation: true }).unmap(0x10000, 0x10000))).toEqual(dead);
  });

  test('devices called before it were called; those after it are not', () => {
    const rig = pinned(KEEPER, { last: KEEPER, bug: { ...KEEPER, bugOnInvalidation: true }, first: KEEPER });
    const { body } = rig.unmap(0x10000, 0x10000);
    expect((body.invalidations as { device: string }[]).map(({ device }) => device)).toEqual([
      'd',
      'first',
      'bug',
    ]);
  });

  test('without an invalidation nothing happens; a sample never has one', () => {
    const rig = pinned(KEEPER, { s: { type: 'mtty', bugOnInvalidation: true } });
    expect(rig.unmap(0x80000, 0x10000).status).toBe(200);
    expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(11));
  });

  /** device_list_lock is held by the dead task, iommu->lock is not. */
  const afterwards = () => {
    const rig = pinned({ ...KEEPER, bugOnInvalidation: true });
    rig.create('late', KEEPER);
    rig.create('deaf', { type: 'mtty' });
    rig.unmap(0x10000, 0x10000);
    return rig;
  };

  test('afterwards: what needs iommu->lock alone still answers', () => {
    const rig = afterwards();
    rig.map(0xa0000, 0x1000);
    expect(rig.unmap(0xa0000, 0x1000).status).toBe(200);
    rig.do('iommu-info');
    rig.do('pin-pages', { device: 'd', iova: 0x80000, npage: 1, prot: 3 });
    rig.do('unpin-pages', { device: 'd', iova: 0x80000, npage: 1 });
    rig.do('dma-rw', { device: 'd', iova: 0x10000, write: false, length: 4 });
    rig.do('dirty-start');
    rig.do('open-device', { device: 'deaf' });
    expect(rig.pins()).toEqual([['0x10000', 1]]);
    expect(describeContainer(rig.host.machine.container('c0')).wedged).toMatchObject({ file: 'proposal' });
    // Once the pin has gone the mapping can go as well: no callback is needed.
    rig.do('unpin-pages', { device: 'd', iova: 0x10000, npage: 1 });
    expect(rig.unmap(0x10000, 0x10000).status).toBe(200);
  });

  const blocked: [string, (rig: CoreRig) => number][] = [
    ['an unmap that meets a pin', (rig) => rig.unmap(0x10000, 0x10000).status],
    ['opening a device with dma_unmap', (rig) => rig.reply('open-device', { device: 'late' }).status],
    ['closing one', (rig) => rig.reply('close-device', { device: 'd' }).status],
  ];
  test.each(blocked)('afterwards: %s hangs holding iommu->lock, and then everything does', (_what, run) => {
    const rig = afterwards();
    expect(run(rig)).toBe(423);
    expect(rig.reply('map-dma', { iova: 0xa0000, vaddr: 0, size: 0x1000, flags: 3 }).status).toBe(423);
    expect(rig.reply('pin-pages', { device: 'd', iova: 0x80000, npage: 1, prot: 3 }).status).toBe(423);
    expect(rig.reply('iommu-info').status).toBe(423);
  });

  test('afterwards: a group whose device hangs in its open hangs too, another one does not', () => {
    const rig = afterwards();
    rig.reply('open-device', { device: 'late' });
    expect(rig.reply('group-status', { device: 'late' }).status).toBe(423);
    expect(rig.do('group-status', { device: 'd' }).value).toBe(3);
  });

  test('afterwards: an unmap that waits for the round is stuck with iommu->lock', () => {
    const rig = pinned({ ...KEEPER, holdCallbacks: true }, { bug: { ...KEEPER, bugOnInvalidation: true } });
    rig.do('pin-pages', { device: 'd', iova: 0x80000, npage: 1, prot: 3 });
    const first = rig.start('unmap-dma', { iova: 0x10000, size: 0x10000 });
    const second = rig.start('unmap-dma', { iova: 0x80000, size: 0x10000 });
    expect([first.answer, second.answer]).toEqual([null, null]);
    rig.do('resume-callbacks', { device: 'd' });
    expect([first.answer?.end.how, second.answer?.end.how]).toEqual(['killed', 'wedged']);
    expect(rig.reply('iommu-info').status).toBe(423);
  });

  test('another container is not concerned', () => {
    const rig = afterwards();
    rig.host.start({ call: 'open-container', container: 'c2' });
    rig.do('create-device', { device: 'x', driver: KEEPER });
    rig.do('open-group', { device: 'x' });
    rig.do('set-container', { device: 'x', container: 'c2' });
    const { answer } = rig.host.start({ call: 'set-iommu', container: 'c2', type: 'type1v2' });
    expect(answer?.end).toEqual({ how: 'returned', value: {} });
    rig.do('open-device', { device: 'x' });
  });
});

describe('warnOnPinnedUnmap', () => {
  const on = (rig: CoreRig) => {
    rig.do('set-parameters', { warnOnPinnedUnmap: true });
    return rig;
  };

  test('each round that leaves a pin warns; the BUG_ON comes as without it', () => {
    const { body } = on(pinned(KEEPER)).unmap(0x10000, 0x10000);
    expect(bugOf({ status: 409, body })).toEqual(b1(11));
    expect(body.log).toHaveLength(12);
    expect((body.log as unknown[])[0]).toEqual({
      kind: 'WARN_ON',
      function: 'vfio_dma_do_unmap',
      condition: '!RB_EMPTY_ROOT(&dma->pfn_list)',
      file: 'proposal',
      line: 0,
    });
    expect((body.splats as unknown[])[0]).toMatchObject({
      kind: 'WARN_ON',
      iova: '0x10000',
      size: '0x10000',
      attempt: 1,
      pinCount: 1,
      pins: [{ iova: '0x10000', devices: [{ device: 'd', count: 1 }] }],
    });
    expect(pinned(KEEPER).unmap(0x10000, 0x10000).body.log).toHaveLength(1);
  });

  test('a driver that keeps the contract never meets it', () => {
    const { status, body } = on(pinned({ ...KEEPER, onDmaUnmap: 'unpin-range' })).unmap(0x10000, 0x10000);
    expect(status).toBe(200);
    expect(body).not.toHaveProperty('log');
  });

  test('a driver that is late by two rounds meets it twice', () => {
    const late = { type: 'synthetic', onDmaUnmap: 'unpin-range', ignoreFirst: 2 };
    const { status, body } = on(pinned(late)).unmap(0x10000, 0x10000);
    expect(status).toBe(200);
    expect(logOf(body)).toEqual(['vfio_dma_do_unmap', 'vfio_dma_do_unmap']);
  });

  test('pins of other mappings are not meant, nor is a detach', () => {
    const rig = on(new CoreRig('6.1', { ccw: { type: 'vfio-ccw', variant: 'range' } }));
    rig.map(0x10000, 0x10000);
    rig.map(0x40000, 0x1000);
    poke(rig, 0x40000, ccw(READ, CC, 8, 0x10000), ccw(READ, 0, 8, 0x40000));
    rig.do('ccw-start', { device: 'ccw', program: 0x40000 });
    rig.do('pin-pages', { device: 'ccw', iova: 0x40800, npage: 1, prot: 3 });
    expect(rig.unmap(0x10000, 0x10000).body).not.toHaveProperty('log');
    rig.do('close-device', { device: 'ccw' });
    expect(logOf(rig.do('unset-container', { device: 'ccw' }))).toEqual(['vfio_remove_dma']);
  });

  test('without a round there is no warning: pins that a closed device left', () => {
    const rig = on(pinned(KEEPER));
    rig.do('close-device', { device: 'd' });
    expect(logOf(rig.unmap(0x10000, 0x10000).body)).toEqual(['vfio_dma_do_unmap']);
  });

  test('reset turns it off', () => {
    const rig = on(pinned(KEEPER));
    rig.host.reset();
    expect(rig.host.kernel.warnOnPinnedUnmap).toBe(false);
  });
});
