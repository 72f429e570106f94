import { describe, expect, test } from 'vitest';
import { CoreRig } from '../harness/core-rig.ts';
import { CC, CD, ccw, IDA, idal, NOP, poke, READ, SKIP, TIC, WRITE } from './channel-programs.ts';

const PROGRAM = 0x40000;

/** A rig with one CCW device, data at [0x10000, 0x20000) and the program in [0x40000, 0x60000). */
function ccwRig(driver: object = {}): CoreRig {
  const rig = new CoreRig('6.1', { ccw: { type: 'vfio-ccw', variant: 'range', ...driver } });
  rig.map(0x10000, 0x10000);
  rig.map(PROGRAM, 0x20000);
  return rig;
}

/** Starts a program that is written to `at`. */
function start(rig: CoreRig, program: Buffer[], at = PROGRAM): Record<string, unknown> {
  poke(rig, at, ...program);
  return rig.do('ccw-start', { device: 'ccw', program: at });
}

/** The errno of a start that must fail, which must leave nothing pinned and the subchannel idle. */
function refused(rig: CoreRig, program: number = PROGRAM): unknown {
  const errno = rig.errno('ccw-start', { device: 'ccw', program });
  expect(rig.pins()).toEqual([]);
  expect(rig.do('ccw-interrupt', { device: 'ccw' }).fsm).toBe('IDLE');
  return errno;
}

describe('vfio-ccw, which pages a program pins', () => {
  test('a direct CCW: every page of [cda, cda+count), at unaligned keys', () => {
    const rig = ccwRig();
    const answer = start(rig, [ccw(READ, 0, 0x1010, 0x10ff8)]);
    expect(answer).toMatchObject({
      fsm: 'CP_PENDING',
      pinned: [{ iova: '0x10ff8', npage: 3 }],
      pinnedPages: 3,
    });
    expect(rig.pins().map(([key]) => key)).toEqual(['0x10ff8', '0x11ff8', '0x12ff8']);
  });

  test('up to 5.19 the keys are those of whole pages', () => {
    const rig = ccwRig({ variant: 'notifier' });
    start(rig, [ccw(READ, 0, 0x1010, 0x10ff8)]);
    expect(rig.pins().map(([key]) => key)).toEqual(['0x10000', '0x11000', '0x12000']);
  });

  test('an IDA list: a key for each IDAW, the first unaligned; neighbours go in one call', () => {
    const rig = ccwRig();
    poke(rig, 0x50010, idal(0x10800, 0x15000, 0x16000));
    const { pinned } = start(rig, [ccw(READ, IDA, 0x2000, 0x50010)]);
    expect(pinned).toEqual([
      { iova: '0x10800', npage: 1 },
      { iova: '0x15000', npage: 2 },
    ]);
  });

  test('an IDA list that crosses a page', () => {
    const rig = ccwRig();
    poke(rig, 0x50ff8, idal(0x10000, 0x12000));
    expect(start(rig, [ccw(READ, IDA, 0x2000, 0x50ff8)]).pinned).toEqual([
      { iova: '0x10000', npage: 1 },
      { iova: '0x12000', npage: 1 },
    ]);
  });

  test('IDAWs have 64 bits', () => {
    const rig = ccwRig();
    rig.do('map-dma', { iova: '0x1200000000', vaddr: 0, size: 0x1000, flags: ['read', 'write'] });
    poke(rig, 0x50000, idal(0x1200000000n));
    expect(start(rig, [ccw(WRITE, IDA, 1, 0x50000)]).pinned).toEqual([{ iova: '0x1200000000', npage: 1 }]);
  });

  test.each([
    ['NOP', [NOP, 0, 8, 0x10000]],
    ['count 0', [READ, 0, 0, 0x10000]],
    ['a skipped read', [READ, SKIP, 8, 0x10000]],
    ['a skipped read backward', [0x0c, SKIP, 8, 0x10000]],
    ['a skipped sense', [0x04, SKIP, 8, 0x10000]],
  ] as const)('%s pins nothing', (_name, words) => {
    const rig = ccwRig();
    expect(start(rig, [ccw(...(words as unknown as [number, number, number, number]))])).toMatchObject({
      fsm: 'CP_PENDING',
      pinnedPages: 0,
    });
    expect(rig.pins()).toEqual([]);
  });

  test('skip means nothing for a write', () => {
    expect(start(ccwRig(), [ccw(WRITE, SKIP, 8, 0x10000)]).pinnedPages).toBe(1);
  });

  test('an IDA list is read even where nothing is transferred', () => {
    const rig = ccwRig();
    poke(rig, PROGRAM, ccw(READ, IDA | SKIP, 8, 0x70000));
    expect(refused(rig)).toBe('EINVAL');
  });

  test('data chaining and command chaining go on to the next CCW, anything else ends the program', () => {
    const words = [
      ccw(READ, CD, 8, 0x10000),
      ccw(0, CC, 8, 0x11000),
      ccw(WRITE, 0, 8, 0x12000),
      ccw(WRITE, 0, 8, 0x13000),
    ];
    expect(start(ccwRig(), words).pinned).toEqual([
      { iova: '0x10000', npage: 1 },
      { iova: '0x11000', npage: 1 },
      { iova: '0x12000', npage: 1 },
    ]);
  });

  test('a page that two CCWs use has two references', () => {
    const rig = ccwRig();
    start(rig, [ccw(READ, CC, 8, 0x10000), ccw(WRITE, 0, 8, 0x10000)]);
    expect(rig.pins()).toEqual([['0x10000', 2]]);
    rig.do('ccw-interrupt', { device: 'ccw' });
    expect(rig.pins()).toEqual([]);
  });

  test('TIC: goes on in another segment, and back into one that is known already', () => {
    const rig = ccwRig();
    poke(rig, 0x48000, ccw(READ, CC, 8, 0x12000), ccw(TIC, 0, 0, PROGRAM));
    const { pinned } = start(rig, [ccw(WRITE, CC, 8, 0x10000), ccw(TIC, 0, 0, 0x48000)]);
    expect(pinned).toEqual([
      { iova: '0x10000', npage: 1 },
      { iova: '0x12000', npage: 1 },
    ]);
  });

  test('TIC back into its own segment does not end it', () => {
    const words = [ccw(READ, CC, 8, 0x10000), ccw(TIC, 0, 0, PROGRAM), ccw(WRITE, 0, 8, 0x12000)];
    expect(start(ccwRig(), words).pinned).toEqual([
      { iova: '0x10000', npage: 1 },
      { iova: '0x12000', npage: 1 },
    ]);
  });

  test('the bytes are those of the pinned pages, also across a page', () => {
    const rig = ccwRig();
    const { pinned } = start(rig, [ccw(READ, CC, 8, 0x10000), ccw(READ, 0, 8, 0x11000)], 0x40ff8);
    expect(pinned).toHaveLength(2);
  });
});

describe('vfio-ccw, limits', () => {
  const chained = (n: number) => Array.from({ length: n }, () => ccw(NOP, CC, 0, 0));

  test('256 CCWs are a segment, 257 are not', () => {
    const rig = ccwRig();
    poke(rig, PROGRAM, ...chained(256), ccw(NOP, 0, 0, 0));
    expect(refused(rig)).toBe('EINVAL');
    expect(start(rig, [...chained(255), ccw(NOP, 0, 0, 0)]).fsm).toBe('CP_PENDING');
  });

  test('16 segments are a program, 17 are not', () => {
    const rig = ccwRig();
    for (let i = 0; i < 16; i++) poke(rig, PROGRAM + i * 0x1000, ccw(TIC, 0, 0, PROGRAM + (i + 1) * 0x1000));
    poke(rig, PROGRAM + 16 * 0x1000, ccw(NOP, 0, 0, 0));
    expect(refused(rig)).toBe('EINVAL');
    poke(rig, PROGRAM + 15 * 0x1000, ccw(NOP, 0, 0, 0));
    expect(rig.do('ccw-start', { device: 'ccw', program: PROGRAM }).fsm).toBe('CP_PENDING');
  });
});

describe('vfio-ccw, reading the program', () => {
  test('6.1 pins its pages for the moment, so they become dirty', () => {
    const rig = ccwRig();
    poke(rig, PROGRAM + 0xff8, ccw(NOP, 0, 0, 0));
    rig.do('dirty-start');
    rig.do('ccw-start', { device: 'ccw', program: PROGRAM + 0xff8 });
    expect(rig.pins()).toEqual([]);
    const { dirtyPages } = rig.do('dirty-get', { iova: PROGRAM, size: 0x20000, pageSize: 4096 });
    // The 2 KiB that are read lie in both pages, though the program is one CCW.
    expect(dirtyPages).toEqual([0, 1]);
  });

  test('6.3 reads with dma_rw: nothing becomes dirty', () => {
    const rig = ccwRig({ reads: 'dma-rw' });
    poke(rig, 0x50000, idal(0x10008));
    poke(rig, PROGRAM, ccw(READ, IDA, 8, 0x50000));
    rig.do('dirty-start');
    expect(rig.do('ccw-start', { device: 'ccw', program: PROGRAM }).pinned).toEqual([
      { iova: '0x10008', npage: 1 },
    ]);
    const { dirtyPages } = rig.do('dirty-get', { iova: PROGRAM, size: 0x20000, pageSize: 4096 });
    expect(dirtyPages).toEqual([]);
  });

  test('a program in a read-only mapping is EPERM, unless it is read with dma_rw', () => {
    for (const [reads, outcome] of [
      ['pin', 'EPERM'],
      ['dma-rw', null],
    ] as const) {
      const rig = ccwRig({ reads });
      rig.do('map-dma', { iova: 0x70000, vaddr: 0x70000, size: 0x1000, flags: ['read'] });
      poke(rig, 0x70000, ccw(NOP, 0, 0, 0));
      if (outcome) expect(refused(rig, 0x70000)).toBe(outcome);
      else expect(rig.do('ccw-start', { device: 'ccw', program: 0x70000 }).fsm).toBe('CP_PENDING');
    }
  });

  test('a program that is not mapped is EINVAL; so is one whose 2 KiB leave the mapping', () => {
    const rig = ccwRig();
    expect(refused(rig, 0x90000)).toBe('EINVAL');
    poke(rig, 0x5fff8, ccw(NOP, 0, 0, 0));
    expect(refused(rig, 0x5fff8)).toBe('EINVAL');
  });

  test('data that cannot be pinned fails the start and releases what was pinned before', () => {
    const rig = ccwRig();
    poke(rig, PROGRAM, ccw(READ, CC, 8, 0x10000), ccw(READ, CC, 8, 0x12000), ccw(READ, 0, 0x3000, 0x1f000));
    expect(refused(rig)).toBe('EINVAL');
    rig.do('map-dma', { iova: 0x70000, vaddr: 0, size: 0x1000, flags: ['read'] });
    poke(rig, PROGRAM, ccw(READ, CC, 8, 0x10000), ccw(WRITE, 0, 8, 0x70000));
    expect(refused(rig)).toBe('EPERM');
  });

  test('an IDAW that cannot be pinned takes back those of its own list as well', () => {
    const rig = ccwRig();
    poke(rig, 0x50000, idal(0x10000, 0x12000, 0x90000));
    poke(rig, PROGRAM, ccw(READ, IDA, 0x3000, 0x50000));
    expect(refused(rig)).toBe('EINVAL');
  });

  test('an address beyond 32 bits is no request; the last below is', () => {
    expect(() => ccwRig().do('ccw-start', { device: 'ccw', program: 0x100000000 })).toThrow('below 2^32');
    expect(ccwRig().errno('ccw-start', { device: 'ccw', program: 0xfffffff8 })).toBe('EINVAL');
  });
});
