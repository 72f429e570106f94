import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import type { Prepared } from '../../src/run/run.ts';
import { HAS_COMPILER, prepared, runIn } from '../preload/programs.ts';

const SCRIPT = fileURLToPath(new URL('../../examples/qemu/mdev.sh', import.meta.url));
const SLOW_MS = 180_000;

const has = (program: string) => spawnSync(program, ['--version']).status === 0;
const possible = HAS_COMPILER && has('qemu-system-x86_64') && has('curl');

/** The lines of the script that are the same each time. */
const PINS = '# the device pins a page of the guest';
const RESETS = '# system_reset: QEMU unmaps the memory around it, and maps it anew';

describe.skipIf(!possible)('a QEMU with a mediated device is reset', () => {
  let rig: Prepared;
  afterEach(() => rig.close());

  const story = async (onDmaUnmap: string, kernel: string) => {
    rig = await prepared([`mdev:synthetic,onDmaUnmap=${onDmaUnmap},device=vgpu`], { kernel });
    const { stdout, stderr, code } = await runIn(rig, 'sh', SCRIPT);
    const lines = stdout.split('\n').filter((line) => line.startsWith('#'));
    return { lines, stderr, code };
  };

  test.each([
    ['5.10', 1253],
    ['6.1', 1481],
    ['6.12', 1390],
    ['7.2', 1522],
  ])(
    'on %s a driver that ignores the invalidation is the end of it',
    { timeout: SLOW_MS },
    async (kernel, at) => {
      const { lines, stderr, code } = await story('ignore', kernel);
      expect(lines).toEqual([
        PINS,
        RESETS,
        '# the thread that unmapped is dead and holds the lock: this QEMU does not end by itself any more',
      ]);
      expect(stderr).toContain(`vfio-host: kernel BUG at drivers/vfio/vfio_iommu_type1.c:${at}, `);
      expect(code).toBe(137);
      const { stuck } = await rig.settle(() => {});
      expect(stuck).not.toEqual([]);
    },
  );

  test('with a driver that unpins it goes on, and nothing is left', { timeout: SLOW_MS }, async () => {
    const { lines, code } = await story('unpin-range', '6.1');
    expect(lines).toEqual([PINS, RESETS, '# QEMU goes on: it can be asked to quit']);
    expect(code).toBe(0);
    expect(await rig.settle(() => {})).toEqual({ closed: [], stuck: [] });
  });
});
