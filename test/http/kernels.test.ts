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
