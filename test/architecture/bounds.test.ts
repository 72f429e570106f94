import type { TSchema } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { SnapshotSchema } from '../../schemas/snapshot.ts';
import { MODELS } from '../../src/drivers/index.ts';

/** Lists of a snapshot whose length is not said by their schema, and what bounds it. */
const BOUNDED_ELSEWHERE: Record<string, string> = {
  'state.faults': 'checkLimits',
  'state.processes': 'checkLimits',
  'state.processes[].regions': 'checkLimits',
  'state.processes[].files': 'checkLimits',
  'state.processes[].contents': 'max-resident-pages',
  'state.exited': 'each has a container or a mapping',
  'state.files': 'checkLimits',
  'state.stores': 'each has a region or a device',
  'state.stores[].contents': 'max-resident-pages',
  'state.groups': 'checkLimits',
  'state.devices': 'checkLimits',
  'state.formerDevices': 'each holds a pin',
  'state.containers': 'checkLimits',
  'state.containers[].groups': 'checkLimits',
  'state.containers[].history.lost.devices': 'checkLimits',
  'state.containers[].iommu.emulatedGroups': 'checkLimits',
  'state.containers[].iommu.domainGroups': 'checkLimits',
  'state.containers[].iommu.deviceList': 'checkLimits',
  'state.containers[].iommu.stolen': 'STOLEN_MAX',
  'state.containers[].iommu.mappings': 'MAPPINGS_MAX',
  'state.containers[].iommu.mappings[].dirty': 'in order, within the bitmap',
  'state.containers[].iommu.mappings[].pins': 'in order, max-pins',
  'state.containers[].iommu.mappings[].pins[].holders': 'max-pins',
  'state.containers[].ioas.accesses': 'checkLimits',
  'state.containers[].ioas.domainDevices': 'checkLimits',
  'state.containers[].ioas.stolen': 'STOLEN_MAX',
  'state.containers[].ioas.areas': 'AREAS_MAX',
  'state.containers[].ioas.areas[].pins': 'max-pins',
  'state.containers[].ioas.areas[].pins[].holders': 'max-pins',
  'state.models.vfio-ap.mdevs[].pinned': 'max-pins',
  'synthetic.pins': 'max-pins',
  'gvt-g.cache': 'max-pins',
  'gvt-g.dmaAddrs': 'as many as in the cache',
};

/** Texts whose length is not said by their schema: a page's bytes. */
const TEXTS: readonly string[] = [
  'state.processes[].contents[].content',
  'state.stores[].contents[].content',
];

/** What a schema holds, by path. */
function* places(schema: TSchema, path: string): Generator<[string, TSchema]> {
  yield [path, schema];
  const below = (name: string) => (path === '' ? name : `${path}.${name}`);
  for (const variant of (schema.anyOf ?? []) as TSchema[]) yield* places(variant, path);
  const { items } = schema;
  for (const item of [items ?? []].flat() as TSchema[]) yield* places(item, `${path}[]`);
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    yield* places(property as TSchema, below(name));
  }
}

const PLACES = [
  ...places(SnapshotSchema, ''),
  ...MODELS.flatMap(({ schemas: { config, state } }) =>
    state ? [...places(state, config.properties.type.const)] : [],
  ),
];

test('no list of a snapshot is of any length', () => {
  const lists = PLACES.filter(([, { type, items }]) => type === 'array' && !Array.isArray(items));
  const unbounded = new Set(lists.filter(([, { maxItems }]) => maxItems === undefined).map(([path]) => path));
  expect(lists.length).toBeGreaterThan(50);
  expect([...unbounded].filter((path) => !(path in BOUNDED_ELSEWHERE))).toEqual([]);
  expect(Object.keys(BOUNDED_ELSEWHERE).filter((path) => !unbounded.has(path))).toEqual([]);
});

test('no text of a snapshot is of any length', () => {
  const isBounded = ({ maxLength, pattern, const: literal }: TSchema) =>
    maxLength !== undefined || literal !== undefined || /^\^(?:[^*+\\]|\\.)*\$$/.test(pattern ?? '');
  const texts = PLACES.filter(([, { type }]) => type === 'string');
  const unbounded = new Set(texts.filter(([, text]) => !isBounded(text)).map(([path]) => path));
  expect(texts.length).toBeGreaterThan(50);
  expect([...unbounded].sort()).toEqual([...TEXTS].sort());
});
