import { expect, test } from 'vitest';
import {
  DIFFERENCES,
  differencesBetween,
  heldAgainst,
  neighbourOf,
  newIn,
} from '../../src/kernel/generations/differences.ts';
import {
  ALL_GENERATIONS,
  channelOf,
  GENERATIONS,
  generationOf,
  RECORDED_VERSIONS,
  UNRECORDED_VERSIONS,
  VERSIONS_IN_WORDS,
} from '../../src/kernel/generations/index.ts';

const gen = (version: string) => generationOf(version)!;
const ids = (differences: readonly { id: string }[]) => differences.map(({ id }) => id);

test('kernels are recorded or not, and are named so', () => {
  expect(RECORDED_VERSIONS).toEqual(['5.10', '6.1', '6.12', '7.2', '6.12-iommufd']);
  expect(UNRECORDED_VERSIONS).toEqual(['5.4', '5.15', '6.0', '6.6', '6.8', '6.18']);
  expect(VERSIONS_IN_WORDS).toBe(
    `${RECORDED_VERSIONS.join(', ')}; not recorded: ${UNRECORDED_VERSIONS.join(', ')}`,
  );
});

test.each([
  ['5.10', 'notifier-chain'],
  ['6.1', 'device-list'],
  ['7.2', 'device-list'],
  ['6.12-iommufd', 'access-list'],
])('drivers of %s are notified through a %s', (version, channel) => {
  expect(channelOf(gen(version))).toBe(channel);
});

test('a recorded kernel is held against the recorded one before it, or its own source with type1', () => {
  const against = (version: string) => heldAgainst(gen(version))?.version ?? null;
  expect(RECORDED_VERSIONS.map(against)).toEqual([null, '5.10', '6.1', '6.12', '6.12']);
});

test('one that was not recorded is held against the one before it, the oldest against the oldest recorded', () => {
  const against = (version: string) => heldAgainst(gen(version))?.version ?? null;
  expect(UNRECORDED_VERSIONS.map(against)).toEqual(['5.10', '5.10', '5.15', '6.1', '6.6', '6.12']);
});

test('the neighbour of a kernel is one of those that are asked about', () => {
  const some = [gen('5.10'), gen('6.12'), gen('6.12-iommufd'), gen('7.2')];
  expect(some.map((each) => neighbourOf(each, some)?.version)).toEqual([
    ...[undefined, '5.10', '6.12', '6.12-iommufd'],
  ]);
  expect(neighbourOf(gen('6.1'), some)).toBeUndefined();
});

test('between a kernel and itself there is no difference, and what there is is the same both ways', () => {
  for (const one of GENERATIONS) {
    expect(ids(differencesBetween(one, one))).toEqual([]);
    for (const other of GENERATIONS)
      expect(ids(differencesBetween(one, other))).toEqual(ids(differencesBetween(other, one)));
  }
});

test('the engine’s differences show between type1 and iommufd alone, and nothing of type1 beside them', () => {
  const engine = ids(differencesBetween(gen('6.12'), gen('6.12-iommufd')));
  expect(engine.length).toBeGreaterThan(5);
  const among = ids(differencesBetween(gen('6.1'), gen('6.12')));
  expect(among.filter((id) => engine.includes(id))).toEqual(['splat-sites']);
  const both = ids(differencesBetween(gen('6.1'), gen('6.12-iommufd')));
  expect(both).toEqual(expect.arrayContaining(engine));
  const ofType1 = (id: string) =>
    DIFFERENCES.find((difference) => difference.id === id)!.traits.every((trait) =>
      trait.startsWith('type1.'),
    );
  expect(both.filter(ofType1)).toEqual([]);
  expect(among.filter(ofType1)).not.toEqual([]);
});

test('a difference of several traits shows where one of them differs', () => {
  const several = DIFFERENCES.filter(
    ({ traits }) => traits.length > 1 && !traits.includes('containerOf' as never),
  );
  expect(several.length).toBeGreaterThan(1);
  const shown = new Set(
    GENERATIONS.flatMap((one) => GENERATIONS.flatMap((other) => ids(differencesBetween(one, other)))),
  );
  for (const { id } of several) expect(shown, id).toContain(id);
});

test('what is new in a kernel are the differences from the one that it is held against', () => {
  expect(newIn(gen('5.10'))).toEqual([]);
  for (const one of ALL_GENERATIONS) {
    const before = heldAgainst(one);
    if (before) expect(ids(newIn(one))).toEqual(ids(differencesBetween(before, one)));
  }
  expect(newIn(gen('6.1')).length).toBeGreaterThan(3);
});
