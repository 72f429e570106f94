import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dispatch } from '../../src/cli/commands.ts';
import { KERNEL_VERSIONS } from '../../src/kernel/generations/index.ts';
import { infoOf } from '../../src/record/iommu-info.ts';
import { nearest, translated } from '../../src/record/record.ts';
import { compile, type Program } from '../harness/program.ts';
import { HAS_COMPILER } from '../preload/programs.ts';

const SLOW_MS = 170_000;
const HERE = fileURLToPath(new URL('.', import.meta.url));

/** A step without what is the same in each. */
interface Recorded {
  call: string;
  expect: { errno?: string | null; value?: number; size?: string; killed?: boolean; info?: object };
}

describe.skipIf(!HAS_COMPILER)(
  'vfio-host record, with the emulated /dev/vfio of a run in place of a real one',
  () => {
    let program: Program;
    let folder: string;
    let asks: string;
    let starts: string;
    beforeAll(() => {
      program = compile();
      folder = mkdtempSync(join(tmpdir(), 'vfio-host-record-test-'));
      mkdirSync(folder, { recursive: true });
      asks = join(folder, 'asks');
      execFileSync('cc', ['-O1', '-Wall', '-o', asks, join(HERE, 'asks.c')]);
      starts = join(folder, 'starts');
      execFileSync('cc', ['-O1', '-Wall', '-o', starts, join(HERE, 'starts.c')]);
    }, SLOW_MS);
    afterAll(() => {
      program.remove();
      rmSync(folder, { recursive: true, force: true });
    });

    async function command(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
      const child = spawn(process.execPath, [program.main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      const [code] = await once(child, 'close');
      return { code, stdout, stderr };
    }

    test.each(['5.10', '6.1', '7.2'])(
      'on %s the trace has what was asked and answered, and replays alike',
      {
        timeout: SLOW_MS,
      },
      async (kernel) => {
        const trace = join(folder, `${kernel}.json`);
        const recorded = ['record', '--kernel', kernel, '--trace', trace, '--', asks];
        const run = [
          'run',
          '--kernel',
          kernel,
          '--device',
          'vfio-pci',
          '--',
          process.execPath,
          program.main,
          ...recorded,
        ];
        const { code, stderr } = await command(...run);
        expect(stderr).toContain('GET_INFO with a struct that is too short, or not there (1)');
        expect(stderr).toContain('ioctls of devices, and others that no trace has a call for (1)');
        expect(code).toBe(7);
        const { steps, kernel: of } = JSON.parse(readFileSync(trace, 'utf8')) as {
          steps: Recorded[];
          kernel: string;
        };
        expect(of).toBe(kernel);
        const answers = steps.map(({ call, expect: { errno } }) => (errno ? `${call} ${errno}` : call));
        expect(answers).toEqual([
          'open-container',
          'open-container',
          'create-device',
          'open-group',
          'open-group EBUSY',
          'group-status',
          'check-extension',
          'check-extension',
          expect.stringMatching(/^set-iommu E/),
          'set-container',
          'set-container EINVAL',
          'set-iommu',
          'group-status',
          'iommu-info',
          'open-device',
          'map-dma',
          'map-dma EEXIST',
          'map-dma EINVAL',
          'map-dma EINVAL',
          'map-dma',
          'unmap-dma EINVAL',
          'unmap-dma',
          'dirty-flags',
          'dirty-flags EINVAL',
          'close-device',
          'unset-container',
          'close-group',
          'close-container',
          'close-container',
        ]);
        expect(steps[6]!.expect.value).toBe(1);
        expect(steps[13]!.expect.info).toMatchObject({ dmaAvail: 65535 });
        expect(steps[21]!.expect.size).toBe('0x10000');
        expect((await command('replay', trace)).stdout).toBe('1 of 1 trace as expected (29 steps)\n');
      },
    );

    /** Records a program in a run; returns its exit code and the calls, each with its process where it is not the only one. */
    async function recorded(...program_: string[]): Promise<{ code: number; calls: string[] }> {
      const trace = join(folder, 'started.json');
      const record = [process.execPath, program.main, 'record', '--kernel', '6.1', '--trace', trace, '--'];
      const run = ['run', '--kernel', '6.1', '--device', 'vfio-pci', '--', ...record, ...program_];
      const { code } = await command(...run);
      const { steps } = JSON.parse(readFileSync(trace, 'utf8')) as {
        steps: (Recorded & { process?: string })[];
      };
      expect((await command('replay', trace)).stdout).toMatch(/^1 of 1 trace as expected/);
      const calls = steps.map(({ call, process: of }) => (of === undefined ? call : `${of} ${call}`));
      return {
        code,
        calls: calls.filter((call) => !/create-device|set-memlock|memory-region/.test(call)),
      };
    }

    test('files that were open before an exec are recorded after it', { timeout: SLOW_MS }, async () => {
      const { code, calls } = await recorded(starts, 'exec', '/dev/vfio/0');
      expect(code).toBe(5);
      expect(calls).toEqual([
        'open-container',
        'open-group',
        'open-container',
        'p0 exec-process',
        'close-container',
        'set-container',
        'set-iommu',
        'map-dma',
        'open-container',
        'close-container',
        'p0 exit-process',
      ]);
    });

    test('a shell that opens files for a program it becomes is recorded, and the program', {
      timeout: SLOW_MS,
    }, async () => {
      const script = `exec 3<>/dev/vfio/vfio 4<>/dev/vfio/0; exec ${starts} started 3 4`;
      const { code, calls } = await recorded('sh', '-c', script);
      expect(code).toBe(5);
      expect(calls).toEqual([
        'open-container',
        'open-group',
        'p0 exec-process',
        'set-container',
        'set-iommu',
        'map-dma',
        'open-container',
        'close-container',
        'p0 exit-process',
      ]);
    });

    test.each(['vfork', 'spawn'])(
      'what a child of %s does is recorded as its own',
      {
        timeout: SLOW_MS,
      },
      async (how) => {
        const { code, calls } = await recorded(starts, how, '/dev/vfio/0');
        expect(code).toBe(5);
        const child = how === 'spawn' ? 'p2' : 'p1';
        expect(calls).toEqual([
          'open-container',
          'open-group',
          'open-container',
          ...(how === 'spawn' ? ['p0 fork-process', 'p1 exit-process'] : []),
          'p0 fork-process',
          `${child} exec-process`,
          `${child} close-container`,
          `${child} set-container`,
          `${child} set-iommu`,
          `${child} map-dma`,
          `${child} open-container`,
          `${child} close-container`,
          `${child} exit-process`,
          'p0 unmap-dma',
          'p0 exit-process',
        ]);
      },
    );
  },
);

test('a call that has begun and never returned is one that killed its caller', () => {
  const open = { e: 'open', node: 'vfio', file: '1.1', errno: 0 } as const;
  const unmap = { name: 'UNMAP_DMA', file: '1.1', argsz: 24, flags: 0, iova: '0x1000', size: '0x1000' };
  const { steps } = translated([open, { e: 'begin', ...unmap }]);
  expect(steps.at(-1)).toMatchObject({ call: 'unmap-dma', container: 'c0', expect: { killed: true } });
  const returned = translated([
    open,
    { e: 'begin', ...unmap },
    { e: 'ioctl', ...unmap, result: 0, errno: 0, unmapped: '0x0' },
  ]);
  expect(returned.steps.filter(({ call }) => call === 'unmap-dma')).toMatchObject([
    { expect: { errno: null, size: '0x0' } },
  ]);
});

test('what is on files that nobody has seen open is left out, and counted', () => {
  const { leftOut } = translated([
    { e: 'ioctl', name: 'SET_IOMMU', file: '9.9', arg: '0x3', result: 0, errno: 0 },
    { e: 'open', node: 'vfio', file: '', errno: 13 },
    { e: 'close', file: '9.9' },
  ]);
  expect([...leftOut]).toEqual([
    ['ioctls on files that were opened before, or by another program', 1],
    ['/dev/vfio/vfio that did not open', 1],
  ]);
});

test('a fork, what the child does, and the end of both are calls of two processes', () => {
  const { steps } = translated([
    { pid: 7, e: 'open', node: 'vfio', file: '7.1', errno: 0 },
    { pid: 9, e: 'fork', parent: 7 },
    { pid: 9, e: 'ioctl', name: 'CHECK_EXTENSION', file: '7.1', arg: '0x1', result: 1, errno: 0 },
    { pid: 7, e: 'close', file: '7.1' },
    { pid: 7, e: 'close', file: '7.1' },
    { pid: 9, e: 'exit' },
    { pid: 7, e: 'exit' },
    { pid: 8, e: 'open', node: 'vfio', file: '8.1', errno: 0 },
    { pid: 8, e: 'exit' },
  ]);
  expect(steps.map(({ expect: _expect, ...call }) => call)).toEqual([
    { call: 'open-container', container: 'c0' },
    { call: 'fork-process', process: 'p0', child: 'p1' },
    { call: 'check-extension', container: 'c0', extension: '0x1', process: 'p1' },
    { call: 'close-container', container: 'c0', process: 'p0' },
    { call: 'exit-process', process: 'p1' },
    { call: 'exit-process', process: 'p0' },
    { call: 'create-process', process: 'p2' },
    { call: 'open-container', container: 'c1', process: 'p2' },
    { call: 'exit-process', process: 'p2' },
  ]);
});

test('a program after an exec has other memory, and its process the number it has had', () => {
  const { steps } = translated([
    { pid: 7, e: 'open', node: 'vfio', file: '7.1', errno: 0 },
    { pid: -700, e: 'fork', parent: 7 },
    { pid: 7, e: 'close', file: '7.1' },
    { pid: 9, e: 'spawned', as: -700 },
    { pid: 9, e: 'exec' },
    { pid: 9, e: 'close', file: '7.1' },
    { pid: 9, e: 'exit' },
  ]);
  const calls = steps.map(({ expect: _expect, ...call }) => call);
  expect(calls.filter(({ call }) => call !== 'set-memlock')).toEqual([
    { call: 'open-container', container: 'c0' },
    { call: 'fork-process', process: 'p0', child: 'p1' },
    { call: 'close-container', container: 'c0', process: 'p0' },
    { call: 'exec-process', process: 'p1' },
    { call: 'add-memory-region', process: 'p1', start: '0x0', size: '0x7ffffffff000', prot: 3 },
    { call: 'close-container', container: 'c0', process: 'p1' },
    { call: 'exit-process', process: 'p1' },
  ]);
});

test('a release is nearest to the newest kernel that is not newer than it, or to the oldest there is', () => {
  const known = KERNEL_VERSIONS.filter((version) => /^\d+\.\d+$/.test(version));
  for (const version of known) {
    expect(nearest(version)).toBe(version);
    expect(nearest(`${version}.7-9-amd64`)).toBe(version);
  }
  const sorted = known.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  expect(nearest('99.1-rc1')).toBe(sorted.at(-1));
  expect(nearest('2.6.32')).toBe(sorted[0]);
  expect(nearest('something')).toBe(sorted[0]);
});

test.each([
  ['', 'nothing'],
  ['00'.repeat(24), 'no flags'],
  [`${'00'.repeat(4)}03${'00'.repeat(11)}14${'00'.repeat(3)}0100`, 'a capability that is cut off'],
])('GET_INFO of %s (%s) is not read', (bytes) => {
  expect(infoOf(bytes)).toBeNull();
});

test.each([
  [['record'], 'record needs a program'],
  [['record', 'true'], 'record needs a program'],
  [['record', '--kernel', '4.4', '--', 'true'], '--kernel: "4.4" is not one of'],
  [['record', '--frace', 'x', '--', 'true'], 'did you mean "--trace"?'],
])('%j is bad usage', async (args, words) => {
  const terminal = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
  await expect(dispatch(args, { out: () => {}, err: () => {}, terminal })).rejects.toThrow(words);
});
