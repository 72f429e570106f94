import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Prepared } from '../../src/run/run.ts';
import { compile, HAS_COMPILER, prepared, runIn, stillOpen } from './programs.ts';

const SLOW_MS = 120_000;

/** Parts of ioctls.c. */
const PARTS = ['containers', 'groups', 'maps', 'infos', 'dirties', 'devices'];

/** Answers of a file, in order: part, name, answer. */
const answers = (file: string) =>
  readFileSync(new URL(file, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');

/** What the classic container of 6.1 answers, and that of iommufd. */
const ON_6_1 = answers('ioctls-6.1.txt');
const ON_IOMMUFD = answers('ioctls-6.12-iommufd.txt');

/** GET_INFO from 6.6 on: as many bytes are written as the caller has room for, and capabilities begin at multiples of 8. */
const ALIGNED = {
  ...Object.fromEntries(
    Array.from({ length: 9 }, (_, i) => [`infos info-argsz-${16 + i}-bytes`, `${16 + i} wants 120`]),
  ),
  'infos capability-1': 'at 72 version 1',
};

/** SET_CONTAINER of a file that is no container, from 6.2 on. */
const NOT_A_CONTAINER = {
  'groups set-container-other-file': 'EBADFD',
  'groups set-container-group': 'EBADFD',
};

/** What other kernels answer where they differ from 6.1. */
const DIFFERENCES: Record<string, Record<string, string>> = {
  '5.10': {
    'containers extension-9': '0',
    'groups set-iommu-9': 'ENODEV',
    'maps unmap-all': 'EINVAL',
    'infos info-pages': '0xfffffffffffff000',
  },
  '6.1': {},
  '6.12': { ...ALIGNED, ...NOT_A_CONTAINER },
  '7.2': { ...ALIGNED, ...NOT_A_CONTAINER, 'containers extension-6': '0', 'maps map-wraps': 'EOVERFLOW' },
};

function expected(kernel: string): string[] {
  if (kernel === '6.12-iommufd') return ON_IOMMUFD;
  return ON_6_1.map((line) => {
    const [part, name] = line.split(' ');
    const other = DIFFERENCES[kernel]![`${part} ${name}`];
    return other === undefined ? line : `${part} ${name} ${other}`;
  });
}

describe.skipIf(!HAS_COMPILER).each([...Object.keys(DIFFERENCES), '6.12-iommufd'])('on %s', (kernel) => {
  let ioctls: string;
  let rig: Prepared;
  beforeAll(async () => {
    ioctls = compile('ioctls');
    rig = await prepared(['vfio-pci'], { kernel });
  }, SLOW_MS);
  afterAll(() => rig.close());

  test('every ioctl is answered as by the kernel', { timeout: SLOW_MS }, async () => {
    const lines: string[] = [];
    for (const part of PARTS) {
      const { code, stdout } = await runIn(rig, ioctls, part);
      expect(code).toBe(0);
      lines.push(
        ...stdout
          .trimEnd()
          .split('\n')
          .map((line) => `${part} ${line}`),
      );
    }
    expect(lines).toEqual(expected(kernel));
    expect(await stillOpen(rig)).toEqual([]);
  });

  test('an ioctl that is not known is named once', { timeout: SLOW_MS }, async () => {
    const { stderr } = await runIn(rig, ioctls, 'devices');
    expect(stderr).toBe(
      'vfio-host: VFIO_DEVICE_IOEVENTFD is not known of a device here: it is answered ENOTTY\n',
    );
  });
});

test.skipIf(!HAS_COMPILER)(
  'RLIMIT_MEMLOCK of the run holds for the program',
  { timeout: SLOW_MS },
  async () => {
    const rig = await prepared(['vfio-pci'], { memlock: 2 * 4096 });
    const { stdout } = await runIn(rig, compile('ioctls'), 'maps');
    // Sixteen pages are too many, one is not.
    expect(stdout).toContain('\nmap ENOMEM\n');
    expect(stdout).toContain('\nmap-3-again 0\n');
    await rig.close();
  },
);

describe.skipIf(!HAS_COMPILER)('/dev/iommu', () => {
  test('on iommufd it is a container; what else it is on a real kernel is named once', {
    timeout: SLOW_MS,
  }, async () => {
    const rig = await prepared(['vfio-pci'], { kernel: '6.12-iommufd' });
    const { stdout, stderr, code } = await runIn(rig, compile('ioctls'), 'iommufd');
    expect([code, stdout.trimEnd().split('\n')]).toEqual([
      0,
      [
        'stat 0',
        'open ok',
        'version 0',
        'extension 1',
        'map-before-group ENODEV',
        'set-container 0',
        'set-iommu 0',
        'map 0',
        'unmap 4096',
        'ioas-alloc ENOTTY',
        'ioas-alloc-again ENOTTY',
        'beyond ENOTTY',
        'device ENOENT',
      ],
    ]);
    expect(stderr.split('\n')).toEqual([
      'vfio-host: IOMMU_IOAS_ALLOC is not known of a container here: it is answered ENOTTY',
      'vfio-host: ioctl 0x3bff is not known of a container here: it is answered ENOTTY',
      "vfio-host: /dev/vfio/devices/vfio0 is not there: devices have no file of their own here, use the group's",
      '',
    ]);
    expect(await stillOpen(rig)).toEqual([]);
    await rig.close();
  });

  test('elsewhere it is not there, and that is said', { timeout: SLOW_MS }, async () => {
    const rig = await prepared(['vfio-pci'], { kernel: '6.12' });
    const { stdout, stderr } = await runIn(rig, compile('ioctls'), 'iommufd');
    expect(stdout).toBe('stat ENOENT\nopen ENOENT\n');
    expect(stderr).toBe('vfio-host: /dev/iommu is not there: it is on kernel 6.12-iommufd\n');
    await rig.close();
  });
});
