import { describe, expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import { b1, bugOf, CoreRig, logOf } from '../harness/core-rig.ts';
import { CC, ccw, IDA, idal, NOP, poke, READ, SUSPEND, TIC, WRITE } from './channel-programs.ts';

/** vfio_ccw as each kernel has it: what was found by reading and recording the real one, a behaviour a test. */

const NOTIFIER = ['5.10'];
const CALLBACK = ['6.1', '6.12', '7.2'];
const READS_BY_PIN = ['5.10', '6.1'];
const READS_BY_DMA_RW = ['6.12', '7.2'];
const D0 = { device: 'd0' };
const D1 = { device: 'd1' };
const HELD = ccw(READ, SUSPEND, 0x10, 0x15000);

/** Devices d0 (and d1) of a kernel's own driver, data at [0x10000, 0x20000), programs at [0x40000, 0x50000). */
function rigOf(version: string, devices = ['d0']): CoreRig {
  const rig = new CoreRig(version, Object.fromEntries(devices.map((id) => [id, { type: 'vfio-ccw' }])));
  rig.map(0x10000, 0x10000);
  rig.map(0x40000, 0x10000);
  return rig;
}

function start(rig: CoreRig, program: Buffer[], args: object = D0, at = 0x40000): Record<string, unknown> {
  poke(rig, at, ...program);
  return rig.do('ccw-start', { program: at, ...args });
}

/** The errno of a start that must fail. */
function refused(rig: CoreRig, program: Buffer[], args: object = D0, at = 0x40000): unknown {
  poke(rig, at, ...program);
  return rig.errno('ccw-start', { program: at, ...args });
}

const pinned = (rig: CoreRig) => rig.pins().map(([key]) => key);
const pinsOf = ({ vfio }: Record<string, unknown>) =>
  (vfio as { op: string; iova?: string; iovas?: string[]; npage: number }[])
    .filter(({ op }) => op === 'pin')
    .map(({ iova, iovas, npage }) => [iova ?? iovas, npage]);
const fsm = (rig: CoreRig, device = 'd0') =>
  (rig.host.machine.device(device).driver.state!(1) as { fsm: string }).fsm;

describe('the keys of a CCW’s data', () => {
  test.each(READS_BY_DMA_RW)(
    'D2: on %s only the first keeps its offset, and is a call of its own',
    (version) => {
      const rig = rigOf(version);
      const answer = start(rig, [ccw(READ, SUSPEND, 0x2000, 0x10800)]);
      expect(pinsOf(answer)).toEqual([
        ['0x10800', 1],
        ['0x11000', 2],
      ]);
      expect(rig.do('ccw-clear', D0).pinnedPages).toBe(3);
      expect(rig.do('ccw-interrupt', D0).vfio).toEqual([
        { op: 'unpin', device: 'd0', iova: '0x10800', npage: 1, by: 'worker' },
        { op: 'unpin', device: 'd0', iova: '0x11000', npage: 2, by: 'worker' },
      ]);
    },
  );

  test.each(READS_BY_DMA_RW)(
    'D2: on %s a key within the data is shared with whoever pinned the page',
    (version) => {
      const rig = rigOf(version);
      rig.attach('other', { type: 'synthetic', onDmaUnmap: 'unpin-range' });
      rig.do('pin-pages', { device: 'other', iova: 0x11000, npage: 1, prot: 3 });
      start(rig, [ccw(READ, SUSPEND, 0x1000, 0x10800)]);
      expect(rig.pins()).toEqual([
        ['0x10800', 1],
        ['0x11000', 2],
      ]);
    },
  );

  test('on 6.1 every key keeps it, and all go in one call; on 5.10 they are page frames', () => {
    expect(pinsOf(start(rigOf('6.1'), [ccw(READ, SUSPEND, 0x2000, 0x10800)])).at(-1)).toEqual(['0x10800', 3]);
    const frames = ['0x10000', '0x11000', '0x12000'];
    expect(pinsOf(start(rigOf('5.10'), [ccw(READ, SUSPEND, 0x2000, 0x10800)])).at(-1)).toEqual([frames, 3]);
  });
});

describe('an IDA list that cannot be read', () => {
  /** d0 holds 0x15000; the list of d1's program begins with it in the last word of the mapping. */
  function afterRefusal(version: string): { rig: CoreRig; answer: Record<string, unknown> } {
    const rig = rigOf(version, ['d0', 'd1']);
    start(rig, [HELD]);
    poke(rig, 0x4fff8, idal(0x15000));
    poke(rig, 0x48000, ccw(WRITE, IDA, 0x1001, 0x4fff8));
    const { body } = rig.reply('ccw-start', { ...D1, program: 0x48000 });
    expect(body.errno).toBe('EINVAL');
    return { rig, answer: body };
  }

  test.each(READS_BY_PIN)('D6: on %s takes the pages of others, so that the unmap asks nobody', (version) => {
    const { rig, answer } = afterRefusal(version);
    expect(answer.unpinnedNotHeld).toEqual([{ device: 'd1', iova: '0x15000', npage: 2 }]);
    expect((answer.advisories as { kind: string }[]).map(({ kind }) => kind)).toContain('FOREIGN_UNPIN');
    expect(rig.pins()).toEqual([]);
    expect(rig.unmap(0x10000, 0x10000).body).toMatchObject({ size: '0x10000', invalidations: [] });
    expect(fsm(rig)).toBe('CP_PENDING');
  });

  test('D6: on 6.1 the victim’s own release then warns', () => {
    const { rig } = afterRefusal('6.1');
    rig.unmap(0x10000, 0x10000);
    rig.do('ccw-clear', D0);
    expect(logOf(rig.do('ccw-interrupt', D0))).toEqual(['vfio_iommu_type1_unpin_pages']);
  });

  test.each(READS_BY_DMA_RW)('D6: on %s takes nothing', (version) => {
    const { rig, answer } = afterRefusal(version);
    expect(answer).not.toHaveProperty('unpinnedNotHeld');
    expect(pinned(rig)).toEqual(['0x15000']);
  });
});

describe('an IDA list of which one page is gone', () => {
  /** A program with the pages 0x15000 and 0x85000, of which the first was taken and its mapping removed. */
  function release(version: string): { rig: CoreRig; answer: Record<string, unknown> } {
    const rig = rigOf(version);
    rig.map(0x80000, 0x10000);
    rig.attach('thief', { type: 'synthetic', onDmaUnmap: 'ignore' });
    poke(rig, 0x42000, idal(0x15000, 0x85000));
    start(rig, [ccw(WRITE, IDA | SUSPEND, 0x1001, 0x42000)]);
    rig.do('unpin-pages', { device: 'thief', iova: 0x15000, npage: 1 });
    expect(rig.unmap(0x10000, 0x10000).status).toBe(200);
    rig.do('ccw-clear', D0);
    return { rig, answer: rig.do('ccw-interrupt', D0) };
  }

  test('D7: on 5.10 keeps the others pinned: one unpin call stops at the hole, and the next unmap is the BUG_ON', () => {
    const { rig, answer } = release('5.10');
    expect(answer.vfio).toEqual([
      { op: 'unpin', device: 'd0', iovas: ['0x15000', '0x85000'], npage: 2, ret: -22, by: 'worker' },
    ]);
    expect(pinned(rig)).toEqual(['0x85000']);
    expect(bugOf(rig.unmap(0x80000, 0x10000))).toMatchObject({ killed: true });
  });

  test('D7: on 6.1 warns for the one and gives the others back', () => {
    const { rig, answer } = release('6.1');
    expect(logOf(answer)).toEqual(['vfio_iommu_type1_unpin_pages']);
    expect(rig.pins()).toEqual([]);
  });
});

describe('segments', () => {
  const inSegments = (rig: CoreRig, count: number) => {
    for (let i = 0; i < count - 1; i++)
      poke(rig, 0x40000 + i * 0x800, ccw(TIC, 0, 0, 0x40000 + (i + 1) * 0x800));
    poke(rig, 0x40000 + (count - 1) * 0x800, ccw(NOP, 0, 0, 0));
  };

  test('D8: on 5.10 any number is a program', () => {
    const rig = rigOf('5.10');
    inSegments(rig, 20);
    expect(rig.do('ccw-start', { ...D0, program: 0x40000 }).fsm).toBe('CP_PENDING');
  });

  test.each(CALLBACK)('D8: on %s 17 are not', (version) => {
    const rig = rigOf(version);
    inSegments(rig, 17);
    expect(rig.errno('ccw-start', { ...D0, program: 0x40000 })).toBe('EINVAL');
  });
});

describe('open and close', () => {
  test('D9: on 5.10 open does not touch the state: STANDBY after close, EIO until a RESET', () => {
    const rig = rigOf('5.10');
    rig.do('close-device', D0);
    rig.do('open-device', D0);
    expect(fsm(rig)).toBe('STANDBY');
    expect(refused(rig, [HELD])).toBe('EIO');
    expect(rig.errno('ccw-halt', D0)).toBe('EIO');
    rig.do('ccw-reset', D0);
    expect(start(rig, [HELD]).fsm).toBe('CP_PENDING');
  });

  test('D9: on 5.10 open never fails; the subchannel is enabled before any open', () => {
    const rig = new CoreRig('5.10', {});
    rig.create('d0', { type: 'vfio-ccw' });
    rig.do('ccw-inject', { ...D0, operation: 'enable' });
    expect(rig.do('open-device', D0)).not.toHaveProperty('fsmEvents');
    expect(rig.do('ccw-halt', D0).fsm).toBe('IDLE');
  });

  test('D9: on 5.10 a device that is not operational opens, and is EIO', () => {
    const rig = rigOf('5.10');
    rig.do('ccw-inject', { ...D0, operation: 'disable', errno: 'ENODEV' });
    expect(rig.errno('ccw-reset', D0)).toBe('ENODEV');
    rig.do('close-device', D0);
    rig.do('open-device', D0);
    expect(fsm(rig)).toBe('NOT_OPER');
    expect(refused(rig, [HELD])).toBe('EIO');
  });

  test.each(CALLBACK)('on %s open enables the subchannel, and fails with it', (version) => {
    const rig = rigOf(version);
    rig.do('close-device', D0);
    rig.do('ccw-inject', { ...D0, operation: 'enable' });
    expect(rig.errno('open-device', D0)).toBe('EINVAL');
    expect(fsm(rig)).toBe('NOT_OPER');
  });

  test('finding 2: on 5.10 an mdev removed unopened leaves its subchannel disabled: ENODEV until a RESET', () => {
    const rig = new CoreRig('5.10', {});
    rig.do('create-device', { ...D0, driver: { type: 'vfio-ccw' } });
    rig.do('remove-device', D0);
    rig.attach('d0', { type: 'vfio-ccw' });
    rig.map(0x10000, 0x10000);
    expect(refused(rig, [HELD], D0, 0x10000)).toBe('ENODEV');
    expect(rig.errno('ccw-clear', D0)).toBe('ENODEV');
    rig.do('ccw-reset', D0);
    expect(start(rig, [HELD], D0, 0x10000).fsm).toBe('CP_PENDING');
  });

  test.each(CALLBACK)(
    'D1: on %s close waits for the deferred work: nothing leaks, and the mapping can go',
    (version) => {
      const rig = rigOf(version);
      start(rig, [HELD]);
      rig.do('ccw-inject', { ...D0, operation: 'disable' });
      rig.do('close-device', D0);
      expect([fsm(rig), rig.pins()]).toEqual(['NOT_OPER', []]);
      expect(rig.unmap(0x10000, 0x10000)).toMatchObject({ status: 200, body: { size: '0x10000' } });
    },
  );
});

describe('RESET', () => {
  test('D10: on 5.10 a program that is held is cancelled without an interrupt, and keeps its pages: EBUSY', () => {
    const rig = rigOf('5.10');
    start(rig, [HELD]);
    expect(rig.do('ccw-reset', D0)).toMatchObject({ fsm: 'IDLE', pinnedPages: 1 });
    expect(refused(rig, [HELD])).toBe('EBUSY');
    expect(rig.do('ccw-no-interrupt', D0).interrupts).toBe(0);
    rig.do('close-device', D0);
    expect(rig.pins()).toEqual([]);
  });

  test('finding 1: on 5.10 so does one that has ended, where the RESET comes before its interrupt’s work', () => {
    const rig = rigOf('5.10');
    start(rig, [ccw(READ, 0, 0x10, 0x15000)]);
    rig.do('ccw-reset', D0);
    expect(rig.do('ccw-interrupt', D0)).toMatchObject({ interrupts: 1, fsm: 'IDLE', pinnedPages: 1 });
    expect(refused(rig, [HELD])).toBe('EBUSY');
  });

  test('on 5.10 an unmap that meets the pages, in its first page, gives them back after all', () => {
    const rig = rigOf('5.10');
    start(rig, [ccw(READ, SUSPEND, 0x10, 0x10000)]);
    rig.do('ccw-reset', D0);
    expect(rig.unmap(0x10000, 0x10000).status).toBe(200);
    expect(start(rig, [ccw(NOP, 0, 0, 0)]).fsm).toBe('CP_PENDING');
  });

  test.each(CALLBACK)(
    'finding 10: on %s it gives them back, and the interrupt that is late changes nothing',
    (version) => {
      const rig = rigOf(version);
      start(rig, [ccw(READ, 0, 0x10, 0x15000)]);
      expect(rig.do('ccw-reset', D0)).toMatchObject({ fsm: 'IDLE', pinnedPages: 0 });
      expect(rig.do('ccw-interrupt', D0)).toMatchObject({ interrupts: 1, fsm: 'IDLE', pinnedPages: 0 });
    },
  );
});

describe('the channel subsystem', () => {
  test.each([...NOTIFIER, ...CALLBACK])(
    'finding 3: on %s condition code 3 takes the path away for good',
    (version) => {
      const rig = rigOf(version);
      rig.do('ccw-inject', { ...D0, operation: 'start', errno: 'ENODEV' });
      expect(refused(rig, [HELD])).toBe('ENODEV');
      expect(start(rig, [HELD])).toMatchObject({ fsm: 'CP_PENDING', pinnedPages: 1 });
      const { scsw, ...rest } = rig.do('ccw-interrupt', D0);
      expect(rest).toMatchObject({ interrupts: 1, fsm: 'IDLE', pinnedPages: 0 });
      expect(scsw).toMatchObject({ fctl: 4, stctl: 0x11 });
    },
  );

  test.each(CALLBACK)('finding 4: on %s a quiesce is tried again unless it is EIO', (version) => {
    for (const errno of ['ENODEV', 'EBUSY']) {
      const rig = rigOf(version);
      start(rig, [HELD]);
      rig.do('ccw-inject', { ...D0, operation: 'quiesce', errno });
      expect(rig.do('ccw-reset', D0), errno).toMatchObject({ fsm: 'IDLE', pinnedPages: 0 });
    }
    const rig = rigOf(version);
    start(rig, [HELD]);
    rig.do('ccw-inject', { ...D0, operation: 'quiesce', errno: 'EIO' });
    const { body } = rig.reply('ccw-reset', D0);
    expect(body.errno).toBe('EINVAL');
    expect(logOf(body)).toEqual(['vfio_ccw: could not quiesce subchannel 0.0.0000!']);
  });

  describe.each(CALLBACK)('on %s a RESET of a program that goes round', (version) => {
    /** What the RESET answers where these operations fail, and the function control of the status it leaves. */
    function resetWith(...failures: [operation: string, errno: string][]) {
      const rig = rigOf(version);
      start(rig, [ccw(NOP, CC, 0, 0), ccw(TIC, 0, 0, 0x40000)]);
      for (const [operation, errno] of failures) rig.do('ccw-inject', { ...D0, operation, errno });
      const { body } = rig.reply('ccw-reset', D0);
      const { scsw } = rig.reply('ccw-interrupt', D0).body as { scsw?: { fctl: number } };
      return [body.errno ?? null, fsm(rig), scsw?.fctl ?? null];
    }

    test('halts it', () => expect(resetWith()).toEqual([null, 'IDLE', 2]));
    test('clears it where a halt is EBUSY', () =>
      expect(resetWith(['halt', 'EBUSY'])).toEqual([null, 'IDLE', 1]));
    test('tries again where a halt is ENODEV, or a clear after it', () => {
      expect(resetWith(['halt', 'ENODEV'])).toEqual([null, 'IDLE', 2]);
      expect(resetWith(['halt', 'EBUSY'], ['clear', 'ENODEV'])).toEqual([null, 'IDLE', 2]);
    });
    test('gives up where a halt is EIO', () =>
      expect(resetWith(['halt', 'EIO'])).toEqual(['EINVAL', 'NOT_OPER', null]));
  });

  test.each(CALLBACK)('on %s the work that a quiesce waits for is everybody’s', (version) => {
    const rig = rigOf(version, ['d0', 'd1']);
    start(rig, [ccw(READ, 0, 0x10, 0x16000)], D1, 0x48000);
    start(rig, [HELD]);
    expect(rig.do('ccw-reset', D0)).toMatchObject({
      vfio: [
        { op: 'unpin', device: 'd1', by: 'worker' },
        { op: 'unpin', device: 'd0' },
      ],
      interruptsSignalled: { d1: 1 },
    });
    expect(fsm(rig, 'd1')).toBe('IDLE');
  });

  test('M6: a program that has ended keeps its pages until the interrupt’s work; sleep gives it time', () => {
    const rig = rigOf('6.1');
    expect(start(rig, [ccw(READ, 0, 0x10, 0x15000)]).fsmEvents).toEqual([
      ['IDLE', 'IO_REQ'],
      ['CP_PENDING', 'INTERRUPT'],
    ]);
    expect(pinned(rig)).toEqual(['0x15000']);
    rig.do('sleep', { milliseconds: 1 });
    expect([fsm(rig), rig.pins()]).toEqual(['IDLE', []]);
  });

  test('finding 9: HALT of a held program is solicited and final; in IDLE it leaves the state', () => {
    const rig = rigOf('6.1');
    start(rig, [HELD]);
    rig.do('ccw-halt', D0);
    expect(rig.do('ccw-interrupt', D0)).toMatchObject({
      fsm: 'IDLE',
      scsw: { fctl: 2, actl: 1 },
      pinnedPages: 0,
    });
    rig.do('ccw-halt', D0);
    expect(rig.do('ccw-interrupt', D0)).toMatchObject({ fsm: 'IDLE', scsw: { deviceStatus: '0x04' } });
  });

  test('a program whose TICs go round never ends by itself, and can be cleared', () => {
    const rig = rigOf('6.1');
    start(rig, [ccw(NOP, CC, 0, 0), ccw(TIC, 0, 0, 0x40000)]);
    expect(rig.do('ccw-no-interrupt', D0)).toMatchObject({ interrupts: 0, fsm: 'CP_PENDING' });
    rig.do('ccw-clear', D0);
    expect(rig.do('ccw-interrupt', D0).fsm).toBe('IDLE');
  });
});

describe('requests', () => {
  test('finding 6: what the SCSW of the I/O region asks for', () => {
    const rig = rigOf('6.1');
    poke(rig, 0x40000, HELD);
    const ask = { ...D0, program: 0x40000 };
    expect(rig.do('ccw-start', { ...ask, function: 'none' }).fsm).toBe('IDLE');
    expect(rig.errno('ccw-start', { ...ask, function: 'halt' })).toBe('EOPNOTSUPP');
    expect(rig.errno('ccw-start', { ...ask, function: 'clear' })).toBe('EOPNOTSUPP');
    expect(rig.errno('ccw-start', { ...ask, orb: { b: true } })).toBe('EOPNOTSUPP');
    expect(rig.do('ccw-start', { ...ask, function: 'start+halt' }).fsm).toBe('CP_PENDING');
    expect(rig.errno('ccw-start', { ...ask, function: 'none' })).toBe('EBUSY');
  });

  test('finding 7: in format 0 any command whose low nibble is 8 is a TIC', () => {
    const rig = rigOf('6.1');
    const format0 = (command: number, cda: number, flags: number, count: number) => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32BE(((command << 24) | cda) >>> 0, 0);
      bytes.writeUInt8(flags, 4);
      bytes.writeUInt16BE(count, 6);
      return bytes;
    };
    poke(rig, 0x48000, format0(READ, 0x15000, SUSPEND, 0x10));
    const answer = start(rig, [format0(0x98, 0x48000, 0xff, 7)], { ...D0, orb: { fmt: 0 } });
    expect(answer.pinned).toEqual([{ iova: '0x15000', npage: 1 }]);
  });

  test.each(READS_BY_PIN)(
    'M4: on %s an IDA list of format 1 or of 2 KiB blocks is EOPNOTSUPP, direct data is not',
    (version) => {
      const rig = rigOf(version);
      poke(rig, 0x42000, idal(0x15000));
      for (const orb of [{ c64: false }, { i2k: true }]) {
        expect(refused(rig, [ccw(READ, IDA | SUSPEND, 8, 0x42000)], { ...D0, orb })).toBe('EOPNOTSUPP');
        start(rig, [HELD], { ...D0, orb });
        rig.do('ccw-clear', D0);
        rig.do('ccw-interrupt', D0);
      }
    },
  );

  test.each(READS_BY_DMA_RW)(
    'M4: on %s each 2 KiB block is a pin call: one page is two keys, and counts twice',
    (version) => {
      const rig = rigOf(version);
      const answer = start(rig, [ccw(READ, SUSPEND, 0x1000, 0x15000)], { ...D0, orb: { i2k: true } });
      expect(pinsOf(answer)).toEqual([
        ['0x15000', 1],
        ['0x15800', 1],
      ]);
      expect(rig.host.machine.process('p0').lockedVm).toBe(2);
      rig.do('ccw-clear', D0);
      rig.do('ccw-interrupt', D0);
      const words = Buffer.from('0001500000015800', 'hex');
      poke(rig, 0x42000, words);
      expect(
        pinsOf(start(rig, [ccw(READ, IDA | SUSPEND, 0x1000, 0x42000)], { ...D0, orb: { c64: false } })),
      ).toEqual([
        ['0x15000', 1],
        ['0x15800', 1],
      ]);
    },
  );

  test('prefetching without being told to is done, and said once', () => {
    const rig = rigOf('6.1');
    const noPrefetch = { ...D0, orb: { pfch: false } };
    expect(logOf(start(rig, [HELD], noPrefetch))).toEqual([
      'vfio_ccw_mdev d0: Prefetching channel program even though prefetch not specified in ORB',
    ]);
    rig.do('ccw-clear', D0);
    rig.do('ccw-interrupt', D0);
    expect(logOf(start(rig, [HELD], noPrefetch))).toEqual([]);
  });
});

describe('an unmap while disabling fails', () => {
  test.each(CALLBACK)('on %s the deferred work is late: eleven callbacks and the BUG_ON', (version) => {
    const rig = rigOf(version);
    start(rig, [HELD]);
    rig.do('ccw-inject', { ...D0, operation: 'disable' });
    const reply = rig.unmap(0x10000, 0x10000);
    expect(bugOf(reply)).toMatchObject({ ...b1(11) });
    // The first callback closes and cannot; the ten after it find the state that ignores both.
    const ignored = [
      ['NOT_OPER', 'CLOSE'],
      ['NOT_OPER', 'OPEN'],
    ];
    expect(reply.body.fsmEvents).toEqual([
      ['CP_PENDING', 'CLOSE'],
      ['CP_PENDING', 'NOT_OPER'],
      ['NOT_OPER', 'OPEN'],
      ...Array(10).fill(ignored).flat(),
    ]);
  });

  test('M9: the subchannel is then being taken away, and the user is asked to close the device', () => {
    const rig = rigOf('6.1');
    rig.do('ccw-inject', { ...D0, operation: 'disable' });
    rig.reply('ccw-reset', D0);
    expect(logOf(rig.do('sleep', { milliseconds: 1 }))).toEqual([
      'vfio_ccw 0.0.0000: MDEV: Unregistering',
      'vfio_ccw_mdev d0: No device request channel registered, blocked until released by user',
    ]);
    rig.do('close-device', D0);
    rig.do('close-group', D0);
    rig.do('remove-device', D0);
    expect(rig.errno('create-device', { ...D0, driver: { type: 'vfio-ccw' } })).toBe('ENODEV');
  });

  test.each([
    ['5.10', []],
    ['6.1', ['vfio_ccw_mdev d0: No device request channel registered, blocked until released by user']],
  ])('M9: on %s removing an open device waits until it is closed, and says %j', (version, said) => {
    const rig = rigOf(version);
    const removal = rig.start('remove-device', D0);
    expect(removal.answer).toBeNull();
    const asked = rig.host.dmesg().match(/vfio_ccw_mdev d0: .*/g) ?? [];
    expect(asked).toEqual(said);
    rig.do('close-device', D0);
    rig.do('close-group', D0);
    expect(toReply(removal.answer!).status).toBeLessThan(300);
  });
});

test.each([
  ['5.10', 'vfio_ccw_mdev_notifier'],
  ['6.1', 'vfio_ccw_dma_unmap'],
])('D12: on %s the console shows the driver’s callback as %s', (version, name) => {
  const rig = new CoreRig(version, { d0: { type: 'vfio-ccw', bugOnInvalidation: true } });
  rig.map(0x10000, 0x10000);
  start(rig, [HELD], D0, 0x10000);
  expect(rig.unmap(0x10000, 0x10000).body.killed).toBe(true);
  expect(rig.host.dmesg()).toContain(` ${name}+0x`);
});

test('D12: a release that warns in the workqueue is shown where it comes from', () => {
  const rig = rigOf('6.1');
  rig.attach('thief', { type: 'synthetic', onDmaUnmap: 'ignore' });
  start(rig, [HELD]);
  rig.do('unpin-pages', { device: 'thief', iova: 0x15000, npage: 1 });
  rig.unmap(0x10000, 0x10000);
  rig.do('ccw-clear', D0);
  rig.do('ccw-interrupt', D0);
  const frames = [...rig.host.dmesg().matchAll(/\] {2}(\w+)\+0x/g)].map(([, name]) => name);
  expect(frames).toEqual([
    'vfio_iommu_type1_unpin_pages',
    'vfio_unpin_pages',
    'cp_free',
    'vfio_ccw_sch_io_todo',
    'process_one_work',
    'worker_thread',
    'kthread',
    'ret_from_fork',
  ]);
});

describe.each(CALLBACK)('D13: a subchannel that is not operational on %s', (version) => {
  /** A RESET could not disable it. */
  function dead(): CoreRig {
    const rig = rigOf(version);
    rig.do('ccw-inject', { ...D0, operation: 'disable', errno: 'EIO' });
    expect(rig.errno('ccw-reset', D0)).toBe('EINVAL');
    expect(fsm(rig)).toBe('NOT_OPER');
    return rig;
  }

  test('is being removed: its user is asked to close it', () => {
    const rig = dead();
    const { log } = rig.do('ccw-run-work', D0) as { log: { text: string }[] };
    expect(log.map(({ text }) => text)).toEqual([
      'vfio_ccw 0.0.0000: MDEV: Unregistering',
      'vfio_ccw_mdev d0: No device request channel registered, blocked until released by user',
    ]);
  });

  test('stays so: no RESET, start or open brings it back, and no new device can be made on it', () => {
    const rig = dead();
    rig.do('ccw-run-work', D0);
    expect(rig.errno('ccw-reset', D0)).toBe('EINVAL');
    expect(refused(rig, [HELD])).toBe('EIO');
    rig.do('close-device', D0);
    expect(rig.errno('open-device', D0)).toBe('EINVAL');
    rig.do('remove-device', D0);
    expect(rig.errno('create-device', { ...D0, driver: { type: 'vfio-ccw' } })).toBe('ENODEV');
  });
});
