import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compile, type Program } from '../harness/program.ts';
import { compile as compileC, HAS_COMPILER } from '../preload/programs.ts';

const SLOW_MS = 170_000;

describe.skipIf(!HAS_COMPILER)('vfio-host run', () => {
  let program: Program;
  let life: string;
  let folder: string;
  beforeAll(() => {
    program = compile();
    life = compileC('life');
  }, SLOW_MS);
  afterAll(() => program.remove());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'run-test-'));
    return () => rmSync(folder, { recursive: true, force: true });
  });

  /** Starts the command; its temporary files are in `folder`. */
  function start(args: readonly string[]) {
    const child = spawn(process.execPath, [program.main, ...args], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const end = once(child, 'close').then(([code]) => ({ code: code as number, stdout, stderr }));
    return { child, end };
  }
  const command = (...args: string[]) => start(args).end;

  test('the exit code is the program’s, its output its own, and nothing of the run is left', {
    timeout: SLOW_MS,
  }, async () => {
    const { code, stdout, stderr } = await command('run', '--', 'sh', '-c', 'echo out; exit 7');
    expect([code, stdout]).toEqual([7, 'out\n']);
    expect(stderr).toBe('vfio-host: sh on 6.1: exit code 7\n');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('the account names the calls and what they were refused with', { timeout: SLOW_MS }, async () => {
    const { code, stderr } = await command(
      'run',
      '--kernel',
      '7.2',
      '--device',
      'vfio-pci',
      '--',
      life,
      'dups',
    );
    expect(code).toBe(0);
    expect(stderr).toContain(`vfio-host: ${life} on 7.2: exit code 0\n`);
    expect(stderr).toMatch(/^ {2}open \/dev\/vfio\/GROUP +6 {3}EBUSY 2$/m);
    expect(stderr).toMatch(/^ {2}VFIO_GROUP_GET_STATUS +1$/m);
  });

  test('a killed program ends with 128 and the signal, and what it had open is closed', {
    timeout: SLOW_MS,
  }, async () => {
    const { code, stderr } = await command('run', '--device', 'vfio-pci', '--', life, 'killed');
    expect(code).toBe(137);
    expect(stderr).toContain('killed by SIGKILL\n');
    expect(stderr).toContain(
      'vfio-host: closed after its end: device 0000-01-00.0, group g0, container c0\n',
    );
  });

  test('devices of one group are in one folder of /sys, and /dev/vfio has their group once', {
    timeout: SLOW_MS,
  }, async () => {
    const { code, stdout } = await command(
      ...[
        'run',
        '--device',
        'vfio-pci,group=g5',
        '--device',
        'vfio-pci:09:00.0,group=g5',
        '--device',
        'vfio-pci',
      ],
      ...['--', 'sh', '-c', 'ls /sys/kernel/iommu_groups/5/devices /dev/vfio; exec 3<>/dev/vfio/5'],
    );
    expect(stdout.split('\n').filter((line) => line !== '' && !line.endsWith(':'))).toEqual(
      expect.arrayContaining(['0000:01:00.0', '0000:09:00.0', '5', 'vfio']),
    );
    expect(code).toBe(0);
  });

  test('with --no-iommu devices are without one, and their groups are called so', {
    timeout: SLOW_MS,
  }, async () => {
    const parameter = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode';
    const { code, stdout, stderr } = await command(
      ...['run', '--no-iommu', '--device', 'vfio-pci', '--'],
      ...['sh', '-c', `cat ${parameter}; ls /dev/vfio; exec 3<>/dev/vfio/noiommu-0`],
    );
    expect([code, stdout], stderr).toEqual([0, 'Y\nnoiommu-0\nvfio\n']);
    expect(stderr).toContain('Adding kernel taint for vfio-noiommu group on device');
  });

  test('a signal is passed on', { timeout: SLOW_MS }, async () => {
    const { child, end } = start([
      'run',
      '--',
      'sh',
      '-c',
      'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done',
    ]);
    await once(child.stdout!, 'data');
    child.kill('SIGTERM');
    expect((await end).code).toBe(3);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('what a program left running may go on; a signal ends the waiting', { timeout: SLOW_MS }, async () => {
    const leaves = `exec 3<>/dev/vfio/0; sleep 600 & echo $!`;
    const { child, end } = start(['run', '--device', 'vfio-pci', '--', 'sh', '-c', leaves]);
    const [left] = (await once(child.stdout!, 'data')) as [string];
    await once(child.stderr!, 'data');
    child.kill('SIGTERM');
    process.kill(Number(left));
    const { code, stderr } = await end;
    expect(code).toBe(0);
    expect(stderr).toContain(
      `vfio-host: waiting for process ${left.trim()}, which has files of the run open\n`,
    );
    expect(stderr).toContain('vfio-host: closed after its end: group g0\n');
  });

  test('a trace replays with no difference, on the kernel it was taken on', {
    timeout: SLOW_MS,
  }, async () => {
    const trace = join(folder, 't.json');
    const args = ['--kernel', '5.10', '--device', 'vfio-pci', '--trace', trace, '--', life, 'threads'];
    expect((await command('run', ...args)).stderr).toContain(`vfio-host: the trace is in ${trace} (`);
    const { code, stdout } = await command('replay', trace);
    expect(stdout).toMatch(/^1 of 1 trace as expected \(3[0-9]{3} steps\)$/m);
    expect(code).toBe(0);
  });

  test('a trace that is longer than the service keeps is whole in its file', {
    timeout: SLOW_MS,
  }, async () => {
    const trace = join(folder, 't.json');
    const args = ['--device', 'vfio-pci', '--trace', trace, '--', life, 'long'];
    expect((await command('run', ...args)).stderr).toMatch(/\((2[1-9]|[3-9][0-9])[0-9]{3} steps\)/);
    expect((await command('replay', trace)).stdout).toContain('1 of 1 trace as expected');
  });

  test('with --url a service that runs is used, in a rig that goes with the run', {
    timeout: SLOW_MS,
  }, async () => {
    const socket = join(folder, 's');
    const service = start(['serve', '--socket', socket]);
    await once(service.child.stdout!, 'data');
    const { code, stderr } = await command(
      ...['run', '--url', `unix:${socket}`, '--kernel', '6.12', '--device', 'vfio-pci', '--', life, 'orders'],
    );
    expect([code, stderr]).toEqual([0, expect.stringContaining(`${life} on 6.12: exit code 0`)]);
    const rigs = await command(
      'run',
      '--',
      'curl',
      '-s',
      '--unix-socket',
      socket,
      'http://localhost/v1/rigs',
    );
    expect(rigs.stdout).not.toContain('vfio-host-');
    service.child.kill('SIGTERM');
    await service.end;
  });

  test.each([
    [['run'], 64, 'run needs a program'],
    [['run', 'true'], 64, 'run needs a program'],
    [['run', '--kernel', '4.4', '--', 'true'], 64, '--kernel: "4.4" is not one of'],
    [['run', '--device', 'pci', '--', 'true'], 64, '--device "pci"'],
    [['run', '--wedged', 'no', '--', 'true'], 64, '--wedged: "no" is not'],
    [['run', '--memlock', '1M', '--', 'true'], 64, '--memlock: "1M" is not a number'],
    [['run', '--url', 'ftp://x', '--', 'true'], 64, '--url: "ftp://x" is not'],
    [['run', '--', 'no-such-program'], 127, 'no-such-program on 6.1: could not be started'],
    [['run', '--', '/dev/null'], 126, 'could not be started'],
    [['run', '--device', 'mdev:nothing', '--', 'true'], 1, 'driver'],
  ])('%j ends with %i', { timeout: SLOW_MS }, async (args, expected, words) => {
    const { code, stderr } = await command(...args);
    expect(stderr).toContain(words);
    expect(code).toBe(expected);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('without a compiler it says what is needed', { timeout: SLOW_MS }, async () => {
    const cache = join(folder, 'cache');
    const child = spawn(process.execPath, [program.main, 'run', '--', 'true'], {
      env: { ...process.env, XDG_CACHE_HOME: cache, CC: 'no-such-compiler' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(69);
    expect(stderr).toContain('there is no C compiler: run needs "no-such-compiler" once');
  });

  test('a compiler that fails is quoted', { timeout: SLOW_MS }, async () => {
    const cc = join(folder, 'cc');
    writeFileSync(cc, '#!/bin/sh\necho "no space" >&2\nexit 1\n', { mode: 0o755 });
    const child = spawn(process.execPath, [program.main, 'run', '--', 'true'], {
      env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache'), CC: cc },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const [code] = await once(child, 'close');
    expect([code, stderr]).toEqual([69, expect.stringContaining('could not compile preload/:\nno space')]);
  });
});
