import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Prepared } from '../../src/run/run.ts';
import { compile, HAS_COMPILER, prepared, runIn, stillOpen } from './programs.ts';

const SLOW_MS = 60_000;

/** Without the calls that are not known of a file: of any words, and in a race for a file's number, they are ENOTTY. */
const unexpected = (stderr: string) =>
  stderr.split('\n').filter((line) => !/ is not known of a .* answered ENOTTY$/.test(line));

/** What each part of hostile.c prints. */
const PARTS: Record<string, string[]> = {
  closes: ['before 4096', 'after-close 4096', 'after-closefrom 4096', 'after-dup2 4096'],
  exhausts: ['full EMFILE', 'container EMFILE', 'device EMFILE', 'map 0', 'unmap 4096', 'device-again ok'],
  environments: ['bare 4096', 'cleared 4096', 'works 4096'],
  races: ['strange 0', 'status 0'],
  storm: ['wrong 0', 'map 0'],
};

describe.skipIf(!HAS_COMPILER)('a program that does what few do', () => {
  let hostile: string;
  let rig: Prepared;
  beforeAll(async () => {
    hostile = compile('hostile');
    rig = await prepared(['vfio-pci']);
  }, SLOW_MS);
  afterAll(() => rig.close());

  test.each(Object.entries(PARTS))('%s', { timeout: SLOW_MS }, async (part, lines) => {
    const { code, stdout, stderr } = await runIn(rig, hostile, part);
    expect(part === 'races' ? unexpected(stderr) : stderr.split('\n')).toEqual(['']);
    expect(stdout.trimEnd().split('\n')).toEqual(lines);
    expect(code).toBe(0);
    expect(await stillOpen(rig)).toEqual([]);
  });

  const seed = Math.floor(Math.random() * 2 ** 31);
  test.each([1, 2, seed])(
    'ioctls of any words at the edge of memory, seed %i',
    {
      timeout: SLOW_MS,
    },
    async (n) => {
      const { code, stdout, stderr } = await runIn(rig, hostile, 'fuzz', String(n));
      expect(unexpected(stderr)).toEqual(['']);
      expect(stdout).toBe('calls 1\ncontainer 0\nstatus 0\n');
      expect(code).toBe(0);
      expect(await stillOpen(rig)).toEqual([]);
    },
  );
});
