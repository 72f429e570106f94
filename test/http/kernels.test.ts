import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compareTraces } from '../../src/cli/compare.ts';
import { runUnmodified } from '../../src/cli/run.ts';
import { ALL_GENERATIONS, UNRECORDED_VERSIONS } from '../../src/kernel/generations/index.ts';
import { useRig } from '../harness/http-rig.ts';

const rig = useRig();

const TRACE = JSON.parse(readFileSync('examples/traces/nesting.json', 'utf8'));

test('GET /v1/kernels has every kernel, says which were not recorded, and what each is told apart from', async () => {
  const { body } = await rig.get('kernels');
  const kernels = body.kernels as {
    version: string;
    recorded: boolean;
    from: string;
    differs: { id: string }[];
  }[];
  expect(kernels.map(({ version }) => version)).toEqual(ALL_GENERATIONS.map(({ version }) => version));
  expect(kernels.filter(({ recorded }) => !recorded).map(({ version }) => version)).toEqual(
    UNRECORDED_VERSIONS,
  );
  const from = Object.fromEntries(kernels.map((one) => [one.version, one.from]));
  expect(from).toEqual({
    ...{
      '5.4': '5.10',
      '5.10': null,
      '5.15': '5.10',
      '6.0': '5.15',
      '6.1': '5.10',
      '6.6': '6.1',
      '6.8': '6.6',
    },
    ...{ '6.12': '6.1', '6.18': '6.12', '7.2': '6.12', '6.12-iommufd': '6.12' },
  });
  const differs = (version: string) =>
    kernels.find((one) => one.version === version)!.differs.map(({ id }) => id);
  expect(differs('5.4')).toEqual(expect.arrayContaining(['dirty-tracking', 'dma-rw', 'scalable-coherency']));
  expect(differs('5.15')).toEqual(
    expect.arrayContaining(['unmap-walk', 'vaddr-and-mdevs', 'open-each-file']),
  );
  expect(differs('6.0')).toEqual(
    expect.arrayContaining(['invalidation-channel', 'dma-owner', 'gvt-g-callback']),
  );
});

test('a reset to a kernel that was not recorded says so in GET /v1', async () => {
  expect((await rig.post('reset', { kernel: '6.8' })).status).toBe(204);
  expect((await rig.request('GET', '/v1')).body).toMatchObject({
    kernel: '6.8',
    release: '6.8',
    recorded: false,
  });
  await rig.post('reset', { kernel: '6.12' });
  expect((await rig.request('GET', '/v1')).body).toMatchObject({ kernel: '6.12', recorded: true });
});

test('compare names those that were not recorded; without kernels it takes those that were', async () => {
  const { body } = await rig.post('compare', { scenario: TRACE, kernels: ['6.8', '6.12', '6.18', '7.2'] });
  expect(body).toMatchObject({ kernels: ['6.8', '6.12', '6.18', '7.2'], unrecorded: ['6.8', '6.18'] });
  const reasons = body.steps.flatMap(({ reasons: found }: { reasons: object[] }) => found);
  expect(reasons).toContainEqual(expect.objectContaining({ id: 'nesting', from: '6.12', to: '6.18' }));
  expect((await rig.post('compare', { scenario: TRACE })).body.unrecorded).toEqual([]);
});

test('help and the compare command say which were not recorded', async () => {
  for (const { help } of [compareTraces, runUnmodified]) {
    expect(help).toContain(`not recorded: ${UNRECORDED_VERSIONS.join(', ')}`);
  }
  const lines: string[] = [];
  const out = (line: string) => void lines.push(line);
  await compareTraces.run(['examples/traces/nesting.json', '--kernels', '6.8,7.2'], { out } as never);
  expect(lines.at(-1)).toBe('not recorded, made from their sources: 6.8');
});

test('the answers that a comparison keeps are within a limit; what is answered alike is kept once', async () => {
  await rig.start({ replayBodyLimit: 64 * 1024 });
  const steps = [
    { call: 'open-container' },
    { call: 'create-device', driver: { type: 'synthetic', onDmaUnmap: 'ignore' } },
    { call: 'attach', container: 'c0', device: 'd0' },
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 0x40_0000, flags: 3 },
    { call: 'pin-pages', device: 'd0', iova: 0, npage: 512, prot: 3 },
    { call: 'dirty-start', container: 'c0' },
  ];
  const get = { call: 'dirty-get', container: 'c0', iova: 0, size: 0x40_0000, pageSize: 0x1000 };
  // An answer with 512 pages in it is some 8 KiB: four of them fit, and not once for each kernel.
  const kernels = ['5.15', '6.1', '6.6'];
  const fits = await rig.post('compare', { scenario: { steps: [...steps, get, get, get, get] }, kernels });
  expect(fits.body.steps).toEqual([]);
  const long = await rig.post('compare', {
    scenario: { steps: [...steps, ...Array(20).fill(get)] },
    kernels,
  });
  expect(long).toMatchObject({ status: 413, body: { detail: expect.stringContaining('65536 bytes') } });
  expect(rig.service.answers.used).toBe(0);
});

test('a kernel that is named twice is refused, over HTTP and by the compare command', async () => {
  const kernels = ['6.1', '6.12', '6.1'];
  const { status, body } = await rig.post('compare', { scenario: TRACE, kernels });
  expect([status, body.detail]).toEqual([400, expect.stringContaining('none of them twice')]);
  const args = ['examples/traces/nesting.json', '--kernels', kernels.join()];
  await expect(async () => compareTraces.run(args, { out() {} } as never)).rejects.toThrow(
    '"6.1" is there twice',
  );
});
