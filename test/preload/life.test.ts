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
  kills: ['unseen ok', 'killed ok', 'child-has-it EBUSY', 'child-killed ok'],
};

/** What family.c does as a process of its own, and the kernel is told of: each call by the process that makes it. */
const FAMILY = [
  'life create-process',
  'life open-container',
  'life open-group',
  'life set-container',
  'life set-iommu',
  'life open-device',
  'life fork-process life-2',
  'life-2 map-dma',
  'life-2 exit-process',
  'life unmap-dma',
  'life map-dma',
  'life exec-process',
  'life close-device',
  'life unmap-dma',
  'life map-dma',
  'life unset-container',
  'life group-status',
  'life exit-process',
];

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

  test('fork, exec and exit are the kernel’s: what each process does is its own', {
    timeout: SLOW_MS,
  }, async () => {
    const own = await prepared(['vfio-pci']);
    const { code, stdout, stderr } = await runIn(own, life, 'family');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.trimEnd().split('\n')).toEqual([
      'child-maps 0',
      'parent-unmaps 4096',
      'parent-maps 0',
      'after-exec-unmaps 4096',
      'after-exec-maps 0',
      'device-went-with-exec 0',
      'status 0',
    ]);
    expect(await stillOpen(own)).toEqual([]);
    const { steps } = await own.target.trace();
    const told = steps.flatMap(({ call, process, child, container }) => {
      if (call === 'create-device' || call === 'add-memory-region') return [];
      const actor = process ?? (container === undefined ? undefined : 'life');
      return [`${actor} ${call}${child === undefined ? '' : ` ${child}`}`];
    });
    expect(told).toEqual(FAMILY);
    const { client } = own.target;
    const replayed = await client.request('POST', '/v1/replay', {
      body: { id: 'family', kernel: '6.1', steps },
    });
    expect(replayed).toMatchObject({ differences: [] });
    await own.close();
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
