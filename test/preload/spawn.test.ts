import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Prepared } from '../../src/run/run.ts';
import { compile, HAS_COMPILER, prepared, runIn, stillOpen } from './programs.ts';

const SLOW_MS = 60_000;

/** A child of which the file actions close what its parent has open. */
const CLOSED_IN_CHILD = [
  'spawn fork-process spawn-2',
  'spawn-2 exec-process',
  'spawn-2 close-container c0',
  'spawn close-container c0',
  'spawn-2 exit-process',
];

/** What each part of spawn.c prints, and what the kernel is told of its processes. */
const PARTS: Record<string, { prints: string[]; told: string[] }> = {
  spawns: {
    prints: ['maps 0', 'child-unmaps 4096', 'child-maps 0', 'unmaps 4096'],
    told: [
      'spawn map-dma',
      'spawn fork-process spawn-2',
      'spawn-2 exec-process',
      'spawn-2 close-container c1',
      'spawn-2 unmap-dma',
      'spawn-2 map-dma',
      'spawn-2 exit-process',
      'spawn unmap-dma',
    ],
  },
  outlives: {
    prints: ['closed-by-parent EBUSY', 'status-in-child 0', 'child-ended ok'],
    told: ['spawn fork-process spawn-2', 'spawn-2 exec-process', 'spawn-2 exit-process'],
  },
  'closes-each': {
    prints: ['closed-in-child ok'],
    told: CLOSED_IN_CHILD,
  },
  'closes-all': {
    prints: ['closed-in-child ok'],
    told: CLOSED_IN_CHILD,
  },
  vforks: {
    prints: ['maps 0', 'child-unmaps 4096', 'child-maps 0', 'unmaps 4096', 'status 0'],
    told: [
      'spawn map-dma',
      'spawn fork-process spawn-2',
      'spawn-2 exec-process',
      'spawn-2 unmap-dma',
      'spawn-2 map-dma',
      'spawn-2 exit-process',
      'spawn unmap-dma',
    ],
  },
  fails: {
    prints: ['no-program ENOENT', 'child-has-it EBUSY', 'child-killed ok'],
    told: [
      'spawn fork-process spawn-2',
      'spawn-2 exit-process',
      'spawn fork-process spawn-3',
      'spawn-3 exec-process',
      'spawn-3 exit-process 9',
    ],
  },
};

/** Calls that say nothing of processes, or that come in any order while parent and child both run. */
const LEFT_OUT = /^(create|open|set|add|remove|protect)-|-group$|^group-status$/;

describe.skipIf(!HAS_COMPILER)('programs that are started without a fork', () => {
  let spawn: string;
  let rig: Prepared;
  beforeAll(() => {
    spawn = compile('spawn');
  }, SLOW_MS);
  beforeEach(async () => {
    rig = await prepared(['vfio-pci']);
  }, SLOW_MS);
  afterEach(() => rig.close());

  /** Runs a part: it is right, nothing of it is left, its trace replays. Returns what it printed, and the trace. */
  async function part(name: string, on: Pick<Prepared, 'env'> = rig) {
    const { code, stdout, stderr } = await runIn(on, spawn, name);
    expect([code, stderr]).toEqual([0, '']);
    expect(await stillOpen(rig)).toEqual([]);
    const processes: string[] = [];
    for await (const { process } of rig.target.client.processes()) processes.push(process);
    expect(processes).toEqual(['p0']);
    const { steps } = await rig.target.trace();
    const body = { id: name, kernel: '6.1', steps };
    expect(await rig.target.client.request('POST', '/v1/replay', { body })).toMatchObject({
      differences: [],
    });
    return { prints: stdout.trimEnd().split('\n'), steps };
  }

  test.each(Object.entries(PARTS))('%s', { timeout: SLOW_MS }, async (name, { prints, told }) => {
    const ran = await part(name);
    expect(ran.prints).toEqual(prints);
    const calls = ran.steps.filter(({ call }) => !LEFT_OUT.test(call));
    const said = calls.map(({ call, process = 'spawn', child, signal, container }) => {
      const what = call === 'close-container' ? container : (child ?? signal);
      return `${process} ${call}${what === undefined ? '' : ` ${what}`}`;
    });
    // What a parent closes while its child begins comes before or after that.
    const own = (line: string) => line.startsWith('spawn close-');
    if (name === 'outlives' || name === 'fails') {
      expect(said.filter((line) => !own(line) && line !== 'spawn exit-process')).toEqual(told);
    } else {
      expect(said).toEqual([...told, 'spawn exit-process']);
    }
  });

  const WITHOUT_LIBRARY = ['system 0', 'pclose 0', 'maps 0', 'closed ok'];

  test('programs without the library are processes, and their parent tells of their end', {
    timeout: SLOW_MS,
  }, async () => {
    const { prints, steps } = await part('without-library');
    expect(prints).toEqual(WITHOUT_LIBRARY);
    const of = (name: string) => steps.filter(({ call }) => call === name).length;
    expect([of('fork-process'), of('exit-process')]).toEqual([4, 5]);
  });

  describe.each([
    ['there is no folder for a run', false],
    ['the folder has none for processes', true],
  ])('where %s nobody would tell of the end of a child', (_, folder) => {
    const alone = () => {
      if (folder) rmSync(join(rig.folder, 'processes'), { recursive: true });
      return { env: { ...rig.env, VFIO_HOST_ROOT: folder ? rig.folder : undefined } };
    };

    test.each([
      ['without-library', WITHOUT_LIBRARY],
      ['outlives', PARTS.outlives!.prints],
      ['closes-each', PARTS['closes-each']!.prints],
    ])('%s: it uses the files in its parent’s name', { timeout: SLOW_MS }, async (name, expected) => {
      const { prints, steps } = await part(name, alone());
      expect(prints).toEqual(expected);
      expect(steps.filter(({ call }) => call === 'fork-process')).toEqual([]);
    });
  });

  test('system and popen: the shell is a process, and so is what it starts', {
    timeout: SLOW_MS,
  }, async () => {
    const { prints, steps } = await part('shells');
    expect(prints).toEqual([
      'maps 0',
      'child-unmaps 4096',
      'child-maps 0',
      'system 0',
      'unmaps 4096',
      'maps 0',
      'popen: child-unmaps 4096',
      'popen: child-maps 0',
      'pclose 0',
      'exit 3',
      'fclose 4',
      'pclose-next 5',
      'unmaps 4096',
      'no-program 127',
      'no-shell 1',
    ]);
    const of = (name: string) => steps.filter(({ call }) => call === name).length;
    expect(of('exec-process')).toBeGreaterThanOrEqual(4);
    expect(of('exit-process')).toBe(of('fork-process') + 1);
  });
});
