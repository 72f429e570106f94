import { describe, expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import { b1, bugOf, CoreRig } from '../harness/core-rig.ts';
import { hostFrom, textOf } from '../snapshot/restored.ts';
import { ccw, poke, READ, SUSPEND } from './channel-programs.ts';

const PROGRAM = 0x40000;
const PINNING = ['5.10', '6.1'];
const VERSIONS = [...PINNING, '6.12', '7.2'];

/** A CCW device as the kernel has it, its program in a mapping of its own, and one page that it transfers. */
function ccwRig(version: string): CoreRig {
  const rig = new CoreRig(version, { ccw: { type: 'vfio-ccw' } });
  rig.map(0x10000, 0x10000);
  rig.map(PROGRAM, 0x1000);
  poke(rig, PROGRAM, ccw(READ, SUSPEND, 0x10, 0x10000));
  return rig;
}

const hold = (rig: CoreRig, at: string) => rig.do('ccw-hold', { device: 'ccw', at });
const start = (rig: CoreRig) => rig.start('ccw-start', { device: 'ccw', program: PROGRAM });
const resume = (rig: CoreRig) => rig.do('resume-callbacks', { device: 'ccw' });
const keys = (rig: CoreRig) => rig.pins().map(([key]) => key);

describe.each(PINNING)('a program that is being read (M5): %s', (version) => {
  test('its transient pin is there, no callback sees it, and an unmap is the BUG_ON', () => {
    const rig = ccwRig(version);
    hold(rig, 'transient-pin');
    expect(start(rig).answer).toBe(null);
    expect(keys(rig)).toEqual(['0x40000']);
    expect(bugOf(rig.unmap(PROGRAM, 0x1000))).toEqual(b1(11));
  });

  test('read in time, before the callbacks have all come: the unmap succeeds', () => {
    const rig = ccwRig(version);
    rig.attach('slow', { type: 'synthetic', onDmaUnmap: 'ignore', holdCallbacks: true });
    hold(rig, 'transient-pin');
    const started = start(rig);
    const unmap = rig.start('unmap-dma', { iova: PROGRAM, size: 0x1000 });
    expect(unmap.answer).toBe(null);
    resume(rig);
    expect(toReply(started.answer!)).toMatchObject({ status: 200, body: { fsm: 'CP_PENDING' } });
    rig.do('resume-callbacks', { device: 'slow' });
    expect(toReply(unmap.answer!)).toMatchObject({ status: 200, body: { size: '0x1000' } });
    expect(keys(rig)).toEqual(['0x10000']);
  });

  test.runIf(version === '5.10')(
    'its container has gone meanwhile: what it pinned is read, and stays pinned',
    () => {
      const rig = ccwRig(version);
      hold(rig, 'transient-pin');
      const started = start(rig);
      rig.do('close-device', { device: 'ccw' });
      rig.do('unset-container', { device: 'ccw' });
      resume(rig);
      // It comes to the page that it transfers, and cannot pin that any more.
      expect(toReply(started.answer!)).toMatchObject({ status: 422, body: { errno: 'EINVAL' } });
    },
  );

  test('it stops once', () => {
    const rig = ccwRig(version);
    hold(rig, 'transient-pin');
    const held = start(rig);
    resume(rig);
    expect(held.answer).not.toBe(null);
    rig.do('ccw-interrupt', { device: 'ccw' });
    expect(start(rig).answer).not.toBe(null);
  });

  test('resume-callbacks before it got there takes the wish back', () => {
    const rig = ccwRig(version);
    hold(rig, 'transient-pin');
    resume(rig);
    expect(start(rig).answer).not.toBe(null);
  });

  test('a snapshot keeps the wish', () => {
    const rig = ccwRig(version);
    hold(rig, 'transient-pin');
    const host = hostFrom(textOf(rig.host));
    expect(host.start({ call: 'ccw-start', device: 'ccw', program: PROGRAM }).answer).toBe(null);
  });
});

test.each(['6.12', '7.2'])(
  '%s reads with vfio_dma_rw, so there is no transient pin to stop at',
  (version) => {
    expect(() => hold(ccwRig(version), 'transient-pin')).toThrow('vfio_dma_rw');
  },
);

describe.each(VERSIONS)('a program that is being given back (M5): %s', (version) => {
  /** A program that has ended, whose interrupt's work has cleared it and not yet unpinned its page. */
  function releasing(): { rig: CoreRig; work: ReturnType<CoreRig['start']> } {
    const rig = ccwRig(version);
    expect(start(rig).answer).not.toBe(null);
    hold(rig, 'release');
    const work = rig.start('ccw-interrupt', { device: 'ccw' });
    expect(work.answer).toBe(null);
    return { rig, work };
  }

  test('callbacks pass it by while its page is still pinned: an unmap is the BUG_ON', () => {
    const { rig } = releasing();
    expect(keys(rig)).toEqual(['0x10000']);
    expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(11));
  });

  test('given back in time: the unmap needs no callback', () => {
    const { rig, work } = releasing();
    resume(rig);
    expect(toReply(work.answer!).body).toMatchObject({ interrupts: 1, fsm: 'IDLE' });
    expect(rig.unmap(0x10000, 0x10000)).toMatchObject({ status: 200, body: { invalidations: [] } });
  });
});
