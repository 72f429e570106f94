import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Prepared } from '../../src/run/run.ts';
import { compile, HAS_COMPILER, prepared, runIn, stillOpen } from './programs.ts';

const SLOW_MS = 60_000;

const REGIONS = [
  'device ok',
  'map 0',
  'info 0',
  'info-counts 4 3 flags 0x11',
  'region-0 0',
  'region-0-is 124 at 0x0 flags 0x3 subtype 0',
  'region-1 0',
  'region-1-is 8 at 0x400 flags 0xb subtype 1',
  'region-2 0',
  'region-2-is 52 at 0x800 flags 0x9 subtype 2',
  'region-3 0',
  'region-3-is 8 at 0xc00 flags 0x9 subtype 3',
  'region-4 EINVAL',
  'region-small 0',
  'region-small-wants 48',
  'read-beyond EINVAL',
  'write-schib EINVAL',
  'write-bad-pointer EFAULT',
  'unknown ENOTTY',
];

/** Programs that end, are suspended, halted, are outside of memory, and hold a page while it is unmapped. */
const PROGRAMS = [
  'device ok',
  'map 0',
  'eventfd 0',
  'start 124',
  'signalled 8',
  'irb 40 17 device 02 subchannel 00 ret 0',
  'start-suspended 124',
  'not-signalled EAGAIN',
  'start-again EBUSY',
  'busy ret -16',
  'halt 8',
  'halt-signalled 8',
  'no-command EINVAL',
  'start-outside EINVAL',
  'start-for-unmap 124',
];

describe.skipIf(!HAS_COMPILER)('a subchannel of vfio-ccw', () => {
  let ccw: string;
  let rig: Prepared;
  beforeAll(() => {
    ccw = compile('ccw');
  }, SLOW_MS);
  afterEach(() => rig.close());

  const run = async (kernel: string, part: string) => {
    rig = await prepared(['mdev:vfio-ccw,device=0.0.0000'], { kernel });
    const { stdout, signal, stderr } = await runIn(rig, ccw, part);
    return { lines: stdout.trimEnd().split('\n'), signal, stderr };
  };

  test.each([
    ['5.10', 2],
    ['6.1', 3],
    ['7.2', 3],
  ])('on %s it has four regions and %i interrupts', { timeout: SLOW_MS }, async (kernel, interrupts) => {
    const { lines } = await run(kernel, 'regions');
    const info = `info-counts 4 ${interrupts} flags 0x11`;
    expect(lines).toEqual(REGIONS.map((line) => (line.startsWith('info-counts') ? info : line)));
    expect(await stillOpen(rig)).toEqual([]);
  });

  test.each(['6.1', '6.12', '7.2'])(
    'on %s an unmap quiesces the program that holds a page',
    {
      timeout: SLOW_MS,
    },
    async (kernel) => {
      const { lines } = await run(kernel, 'programs');
      expect(lines).toEqual([...PROGRAMS, 'unmap 65536', 'reset 0']);
      expect(await stillOpen(rig)).toEqual([]);
    },
  );

  test('on 5.10 the page is not the first of the mapping: nothing is given back, and the caller dies', {
    timeout: SLOW_MS,
  }, async () => {
    const { lines, signal, stderr } = await run('5.10', 'programs');
    expect(lines).toEqual(PROGRAMS);
    expect(stderr).toContain('kernel BUG at drivers/vfio/vfio_iommu_type1.c:1253');
    expect(signal).toBe('SIGSEGV');
  });
});
