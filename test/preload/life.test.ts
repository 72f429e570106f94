import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Prepared } from '../../src/run/run.ts';
import { compile, HAS_COMPILER, prepared, runIn, stillOpen } from './programs.ts';

const SLOW_MS = 60_000;

/** What each part of life.c prints: whether the group could be opened by somebody else at that point. */
const PARTS: Record<string, string[]> = {
  dups: [
    'dup-left EBUSY',
    'fcntl-left EBUSY',
    'status-by-duplicate 0',
    'dup2-over-the-last ok',
    'close-range ok',
  ],
  forks: [
    'closed-by-parent EBUSY',
    'child-has-it EBUSY',
    'closed-by-both ok',
    'child-exited EBUSY',
    'then-closed ok',
    'opener-exited ok',
  ],
  strangers: ['stdin 0', 'stdin-in-child 0', 'closed 0'],
  execs: [
    'status-after-exec 0',
    'open-after-exec EBUSY',
    'exec-ended ok',
    'before-exec EBUSY',
    'after-exec ok',
  ],
  messages: [
    'status-of-received 0',
    'received-is-open EBUSY',
    'received-is-closed ok',
    'after-the-receiver ok',
  ],
  mappings: ['unset-while-mapped EBUSY', 'unset-after-munmap 0'],
  orders: ['device-holds-the-group EBUSY', 'device-closed ok'],
  threads: ['wrong 0'],
};

describe.skipIf(!HAS_COMPILER)('files live as long as their last descriptor or mapping', () => {
  let life: string;
  let rig: Prepared;
  beforeAll(async () => {
    life = compile('life');
    rig = await prepared(['vfio-pci']);
  }, SLOW_MS);
  afterAll(() => rig.close());

  test.each(Object.entries(PARTS))('%s', { timeout: SLOW_MS }, async (part, lines) => {
    const { code, stdout } = await runIn(rig, life, part);
    expect(stdout.trimEnd().split('\n')).toEqual(lines);
    expect(code).toBe(0);
    expect(await stillOpen(rig)).toEqual([]);
  });

  test('what a killed program had open is closed after it', { timeout: SLOW_MS }, async () => {
    const { signal, stdout } = await runIn(rig, life, 'killed');
    expect([signal, stdout]).toEqual(['SIGKILL', 'open ok\n']);
    expect(await rig.settle(() => {})).toEqual({
      closed: [
        'device 0000-01-00.0',
        expect.stringMatching(/^group g[0-9]+$/),
        expect.stringMatching(/^container c[0-9]+$/),
      ],
      stuck: [],
    });
    expect(await stillOpen(rig)).toEqual([]);
  });
});
