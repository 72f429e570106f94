import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Prepared } from '../../src/run/run.ts';
import { compile, HAS_COMPILER, prepared } from './programs.ts';

const SLOW_MS = 60_000;

/** What /proc says of a thread in pause(2): its number, or where there is none ppoll's. */
const PAUSED = process.arch === 'x64' ? /^34 / : /^73 /;

describe.skipIf(!HAS_COMPILER)('what the kernel does to its caller', () => {
  let trouble: string;
  let rig: Prepared;
  beforeAll(() => {
    trouble = compile('trouble');
  }, SLOW_MS);
  beforeEach(async () => {
    rig = await prepared(['mdev:synthetic,onDmaUnmap=ignore,device=m0']);
  }, SLOW_MS);
  afterEach(() => rig.close());

  /** Starts the program, does something once it waits, lets it go on, and returns how it ended. */
  async function during(args: string[], meanwhile: () => Promise<unknown>, env: NodeJS.ProcessEnv = {}) {
    const child = spawn(trouble, args, { env: { ...rig.env, ...env }, stdio: 'pipe' });
    const lines: string[] = [];
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    for await (const line of createInterface(child.stdout)) {
      lines.push(line);
      if (line !== 'ready') continue;
      await meanwhile();
      child.stdin.write('\n');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
    return { lines, stderr, code: child.exitCode, signal: child.signalCode };
  }

  const pin = () =>
    rig.target.client.device('m0').pinPages({ iova: '0x0', npage: 1, prot: ['read', 'write'] });

  test('a BUG_ON ends a program of one thread with SIGSEGV', { timeout: SLOW_MS }, async () => {
    const { lines, stderr, signal } = await during([], pin);
    expect(lines).toEqual(['device ok', 'map 0', 'ready']);
    expect(stderr).toContain(
      'vfio-host: kernel BUG at drivers/vfio/vfio_iommu_type1.c:1481, vfio_dma_do_unmap: ++retries > 10\n',
    );
    expect(signal).toBe('SIGSEGV');
  });

  test('of several threads it is the calling one that dies; what needs its lock never returns', {
    timeout: SLOW_MS,
  }, async () => {
    const { lines, stderr, code } = await during(['threads'], pin);
    expect(lines).toEqual(['device ok', 'map 0', 'ready', 'others-go-on 0']);
    expect(stderr).toContain("map-dma never returns: the container's lock is held by a task that is dead");
    expect(stderr).toContain('vfio_iommu_type1.c:1481');
    expect(code).toBe(70);
  });

  test('with VFIO_HOST_WEDGED=hang what needs the lock of a dead thread hangs, until somebody kills the program', {
    timeout: SLOW_MS,
  }, async () => {
    const child = spawn(trouble, ['threads'], {
      env: { ...rig.env, VFIO_HOST_WEDGED: 'hang' },
      stdio: 'pipe',
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    for await (const line of createInterface(child.stdout)) {
      if (line === 'ready') {
        await pin();
        child.stdin.write('\n');
      }
      if (line.startsWith('others-go-on')) break;
    }
    // The thread that is left sleeps in pause(2), for good.
    await vi.waitFor(
      () => expect(readFileSync(`/proc/${child.pid}/syscall`, 'utf8')).toMatch(PAUSED),
      SLOW_MS,
    );
    expect(stderr).toContain('map-dma never returns');
    expect(stderr).not.toContain('the program is ended');
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(child.signalCode).toBe('SIGKILL');
  });

  test('drivers read and write the memory of the program', { timeout: SLOW_MS }, async () => {
    const device = rig.target.client.device('m0');
    let read = '';
    const { lines, code } = await during(['memory'], async () => {
      const { data } = await device.dmaRw({ iova: '0x0', write: false, length: 22 });
      read = Buffer.from(data!, 'base64').toString();
      await device.dmaRw({ iova: '0xb', write: true, data: Buffer.from('the driver ').toString('base64') });
    });
    expect(read).toBe('written by the program');
    expect(lines).toContain('memory written by the driver ');
    expect(code).toBe(0);
  });

  test('a pin of memory that the program does not have is EFAULT', { timeout: SLOW_MS }, async () => {
    const { lines, code } = await during(['hole'], async () => {
      const beyond = rig.target.client.device('m0').pinPages({ iova: '0x1000', npage: 1, prot: [] });
      await expect(beyond).rejects.toMatchObject({ errno: 'EFAULT' });
      await pin();
    });
    expect(lines).toEqual(['device ok', 'map 0', 'map-hole 0', 'ready']);
    expect(code).toBe(0);
  });
});
