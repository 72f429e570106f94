import { expect, test } from 'vitest';
import { asWritten } from '../../routes/pieces.ts';
import { jsonPieces } from '../../src/json/pieces.ts';
import { takeSnapshot } from '../../src/snapshot/take.ts';
import { describeProcess } from '../../src/views/process.ts';
import { newHost } from '../harness/host.ts';
import { ok, useRig } from '../harness/http-rig.ts';
import { make } from '../snapshot/restored.ts';

const rig = useRig();

/** Regions that the process has. */
const REGIONS = 300;

const region = (i: number) => ({ start: `0x${(i * 0x2000).toString(16)}`, size: '0x1000', prot: 3 });

/** A host whose p0 has them, and forked twice. */
function hostWithRegions() {
  const host = newHost();
  for (let i = 0; i < REGIONS; i++) {
    expect(make(host, { call: 'add-memory-region', process: 'p0', ...region(i) })).not.toHaveProperty(
      'problem',
    );
  }
  for (const child of ['p1', 'p2']) make(host, { call: 'fork-process', process: 'p0', child });
  return host;
}

test('the regions of a process are made as they are written, and come to the same', () => {
  const { kernel } = hostWithRegions();
  const process = kernel.processes.get('p0')!;
  const view = describeProcess(process, asWritten);
  expect(Array.isArray(view.regions)).toBe(false);
  expect([...jsonPieces(view)].join('')).toBe(JSON.stringify(describeProcess(process)));
});

test('those of a snapshot too', () => {
  const { machine } = hostWithRegions();
  const { state } = takeSnapshot(machine, false, asWritten);
  expect(state.processes.map(({ regions }) => Array.isArray(regions))).toEqual([false, false, false]);
  expect([...jsonPieces(state)].join('')).toBe(JSON.stringify(takeSnapshot(machine, false).state));
});

test('a long list of processes is what each of them is shown as, in a line', async () => {
  const regions = Array.from({ length: REGIONS }, (_, i) => region(i));
  await ok(rig.post('setup', { processes: [{ process: 'p0', regions }] }));
  for (const child of ['p1', 'p2', 'p3']) await ok(rig.post('processes/p0/fork-process', { child }));
  const { body, headers } = await rig.app.inject({ url: '/v1/processes?limit=3' });
  const shown = await Promise.all(['p0', 'p1', 'p2'].map((id) => ok(rig.get(`processes/${id}`))));
  expect(shown[2]!.regions).toHaveLength(REGIONS);
  expect(body).toBe(`${JSON.stringify({ processes: shown, next: 'p2' })}\n`);
  expect(headers['content-type']).toBe('application/json; charset=utf-8');
});
