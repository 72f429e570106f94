import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sceneOf } from '../../src/explore/alphabet.ts';
import { Checkpoint } from '../../src/explore/checkpoint.ts';
import { Search } from '../../src/explore/search.ts';
import { Visited } from '../../src/explore/visited.ts';
import { LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { atOnce } from '../../src/turns.ts';
import { synthetic } from '../harness/explore.ts';

const SCENE = sceneOf(LINUX_6_1, {
  drivers: [synthetic('unpin-range', { holdCallbacks: true })],
  pages: 1,
  mappings: 1,
});
const BOUNDS = { depth: 4, memory: 2 ** 22, time: 60 };
const now = () => 0;

test('a search that was cut short anywhere goes on from its file, and comes to the same', () => {
  const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  try {
    const whole = atOnce(new Search(SCENE, BOUNDS, null, now).run());
    for (const states of [0, 1, 5, Math.floor(whole.states / 2)]) {
      const first = new Search(SCENE, BOUNDS, null, now);
      const work = first.run();
      do expect(work.next().done).toBe(false);
      while (first.layers.visited.count < states);
      expect(first.progress.depth).toBeLessThan(BOUNDS.depth);
      const checkpoint = new Checkpoint(join(folder, 'out'), 'this');
      checkpoint.save(first.layers.visited, first.layers.standing);
      const visited = new Visited(Visited.bufferFor(BOUNDS.memory));
      const resumed = { visited, standing: checkpoint.load(visited, SCENE) };
      const rest = atOnce(new Search(SCENE, BOUNDS, null, now, resumed).run());
      const lengths = ({ hits }: typeof whole) =>
        Object.fromEntries(hits.map(({ finding, path }) => [finding, path.length]));
      expect([rest.ended, rest.states, lengths(rest)]).toEqual([whole.ended, whole.states, lengths(whole)]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what is kept of another search, or of a larger one, is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  try {
    const search = new Search(SCENE, BOUNDS, null, now);
    atOnce(search.run());
    const out = join(folder, 'out');
    new Checkpoint(out, 'this').save(search.layers.visited, search.layers.standing);
    const visited = (bytes: number) => new Visited(Visited.bufferFor(bytes));
    expect(() => new Checkpoint(out, 'that').load(visited(BOUNDS.memory), SCENE)).toThrow(
      'is of another search: this',
    );
    expect(() => new Checkpoint(out, 'this').load(visited(400), SCENE)).toThrow(
      'more states than there is memory for',
    );
    const checkpoint = new Checkpoint(out, 'this');
    checkpoint.remove();
    expect(checkpoint.exists).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what a version has kept that finds other states, and what names states it does not have, is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  try {
    const search = new Search(SCENE, BOUNDS, null, now);
    atOnce(search.run());
    const checkpoint = new Checkpoint(join(folder, 'out'), 'this');
    const { visited, standing } = search.layers;
    const load = (scene = SCENE) => checkpoint.load(new Visited(Visited.bufferFor(BOUNDS.memory)), scene);

    checkpoint.save(visited, standing);
    expect(load()).toEqual(standing);
    // Its calls come to something else.
    const actions = SCENE.actions.toReversed();
    expect(() => load({ ...SCENE, actions })).toThrow('another version');
    // It has fewer actions.
    expect(() => load({ ...SCENE, actions: SCENE.actions.slice(0, 2) })).toThrow('another version');

    checkpoint.save(visited, { ...standing, to: visited.count + 1 });
    expect(() => load()).toThrow('it names states that it does not have');
    const reachedFromItself = new Visited(Visited.bufferFor(BOUNDS.memory));
    reachedFromItself.add(1, 2, 0, 0);
    checkpoint.save(reachedFromItself, { ...standing, to: 1 });
    expect(() => load()).toThrow('it names states that it does not have');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('numbers that threads have reserved and not used count as no states, and are dropped in the file too', () => {
  const buffer = Visited.bufferFor(2 ** 14);
  const [one, other] = [new Visited(buffer, 64), new Visited(buffer, 64)];
  expect([one.add(1, 1, -1, 0), one.add(2, 2, 0, 0)]).toEqual([0, 1]);
  expect([other.add(3, 3, 0, 0), other.add(2, 2, 0, 0)]).toEqual([64, -1]);
  expect(one.add(4, 4, 0, 0)).toBe(2);
  for (const each of [one, other]) each.dropSpare();
  expect([one.count, one.states, one.isDropped(2), one.isDropped(3), one.isDropped(65)]).toEqual([
    128,
    4,
    false,
    true,
    true,
  ]);
  // The next layer begins with numbers of its own.
  expect(one.add(5, 5, 2, 0)).toBe(128);
  one.dropSpare();
  const saved = Buffer.concat(one.save());
  const restored = new Visited(Visited.bufferFor(2 ** 14));
  expect(restored.restore(saved)).toBe(null);
  expect([restored.states, restored.add(5, 5, 0, 0), restored.pathTo(128).length]).toEqual([5, -1, 2]);
});

test('threads that reserve numbers fill the table to its end', () => {
  const visited = new Visited(Visited.bufferFor(2 ** 14), 64);
  for (let i = 0; i < visited.capacity; i++) expect(visited.add(i * 77, i, i - 1, 0)).toBe(i);
  expect(visited.add(-1, -1, 0, 0)).toBe(-1);
  visited.dropSpare();
  expect([visited.isFull, visited.states]).toEqual([true, visited.capacity]);
});

test('a state takes at most 64 bytes', () => {
  const bytes = 2 ** 20;
  const visited = new Visited(Visited.bufferFor(bytes));
  expect(visited.buffer.byteLength).toBeLessThanOrEqual(bytes);
  expect(visited.buffer.byteLength / visited.capacity).toBeLessThanOrEqual(64);
  for (let i = 0; i < visited.capacity; i++) expect(visited.add(i * 77, i, i - 1, 0)).toBe(i);
  expect(visited.add(77, 1, 0, 0)).toBe(-1);
  expect([visited.isFull, visited.states]).toEqual([false, visited.capacity]);
  expect(visited.add(-1, -1, 0, 0)).toBe(-1);
  expect(visited.isFull).toBe(true);
});
