import { readFileSync } from 'node:fs';
import { type TSchema, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { beforeAll, expect, test } from 'vitest';
import { EVENT_KINDS, EventPage } from '../../schemas/events.ts';
import { ScenarioSchema } from '../../schemas/scenario.ts';
import {
  CallList,
  ComparisonView,
  ContainerView,
  DeviceView,
  FaultView,
  HostView,
  KernelView,
  MappingView,
  OperationView,
  PinView,
  ProcessView,
  pageOf,
  ReplayView,
  RigView,
} from '../../schemas/views.ts';
import { ASYNC, ok, startRig, useOneRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useOneRig();
beforeAll(async () => {
  await ok(rig.post('processes/p0/set-memlock', { bytes: '0x100000' }));
  await ok(rig.post('processes', {}));
  await ok(rig.post('processes/p1/add-memory-region', { start: 0, size: 4096, prot: ['read'] }));
  await ok(rig.post('faults', { on: 'iommu-info', nth: 1, errno: 'EIO' }));
  // c0: an unmap that ends in a lock cycle, with a webhook that nobody answers.
  await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
  await rig.create('d1', synthetic('ignore'));
  await rig.map('0x10000', '0x2000');
  await rig.pin('0x10000');
  expect((await rig.get('containers/c0/iommu-info')).body.errno).toBe('EIO');
  await ok(rig.unmap('0x10000', '0x2000', ASYNC));
  await ok(rig.post('devices/d1/open-device', {}, ASYNC));
  await ok(rig.post('devices/d0/resume-callbacks'));
  await rig.post('containers', { container: 'c2' });
  const driver = { type: 'webhook', url: 'http://127.0.0.1:9', openDevice: true };
  await ok(rig.post('devices', { device: 'w0', driver }));
  await ok(rig.post('containers/c2/attach', { device: 'w0' }));
  await ok(rig.post('devices/w0/unpin-pages', { iova: 0, npage: 1 }));
  for (const kind of EVENT_KINDS) {
    const { events } = await ok(rig.get(`events?kind=${kind}`));
    expect(events.length, `entries of kind ${kind}`).toBeGreaterThan(0);
  }
});

/** A schema that lets nothing through that it does not name. */
function closed(schema: TSchema): TSchema {
  if (Array.isArray(schema)) return schema.map(closed) as unknown as TSchema;
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy: Record<string | symbol, unknown> = { ...schema };
  for (const [field, value] of Object.entries(schema)) copy[field] = closed(value as TSchema);
  if (schema.type === 'object' && schema.properties && schema.additionalProperties === undefined) {
    const named = Object.keys(schema.properties).length > 0 || schema.patternProperties === undefined;
    if (named) copy.additionalProperties = false;
  }
  return copy as unknown as TSchema;
}

function expectShape(schema: TSchema, body: unknown): void {
  const wrong = [...Value.Errors(closed(schema), body)].slice(0, 3);
  expect(wrong.map(({ path, message, value }) => ({ path, message, value }))).toEqual([]);
}

const LISTS: [string, TSchema][] = [
  ['', HostView],
  ['processes', pageOf('processes', ProcessView)],
  ['processes/p1', ProcessView],
  ['containers', pageOf('containers', ContainerView)],
  ['containers/c0', ContainerView],
  ['containers/c0/mappings', pageOf('mappings', MappingView)],
  ['containers/c0/pins', pageOf('pins', PinView)],
  ['devices', pageOf('devices', DeviceView)],
  ['devices/d0', DeviceView],
  ['faults', Type.Object({ faults: Type.Array(FaultView) })],
  ['kernels', Type.Object({ kernels: Type.Array(KernelView) })],
  ['rigs', Type.Object({ rigs: Type.Array(RigView) })],
  ['operations/op0', OperationView],
  ['events', EventPage],
  ['trace', ScenarioSchema],
  ['calls', CallList],
];

test.each(LISTS)('GET /v1/%s answers what its schema says, and no more', async (path, schema) => {
  const { status, body } = await rig.request('GET', path === '' ? '/v1' : `/v1/${path}`);
  expect(status).toBe(200);
  expectShape(schema, body);
});

test('a replay and a comparison answer what their schemas say, and no more', async () => {
  const kill = await startRig();
  await kill.container(synthetic('ignore'));
  await kill.bug();
  const trace = await ok(kill.get('trace'));
  await kill.close();
  trace.steps.at(-1).expect = { errno: 'EINVAL', size: '0x1' };
  const replayed = await ok(rig.post('replay', trace));
  expect(replayed.differences.length).toBeGreaterThan(0);
  expectShape(ReplayView, replayed);
  const nesting = JSON.parse(readFileSync('examples/traces/nesting-errno.json', 'utf8'));
  const compared = await ok(rig.post('compare', { scenario: nesting }));
  expect(compared.steps.length).toBeGreaterThan(0);
  expectShape(ComparisonView, compared);
});
