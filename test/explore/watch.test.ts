import { expect, test } from 'vitest';
import { ANY_TREE, Entries } from '../../src/explore/entries.ts';
import { OBJECTS, Watch } from '../../src/explore/watch.ts';
import type { TableWatch } from '../../src/explore/watched-tables.ts';

/** A watched table, and the call that looks into it. */
function watched() {
  const entries = new Entries();
  let by!: TableWatch;
  const table = {
    table: {},
    watch: (its: TableWatch) => {
      by = its;
    },
  };
  const watch = new Watch([], [table], entries);
  watch.begin();
  const whole = OBJECTS + entries.whole(0);
  return { watch, by, entries, whole };
}

test('a call that looks twice at one thing has looked at it once, and the next call anew', () => {
  const { watch, by } = watched();
  for (let i = 0; i < 2; i++) by.isThere(0x1000);
  by.isThere(0x2000);
  expect(watch.looked).toHaveLength(2);
  watch.begin();
  by.isThere(0x1000);
  expect(watch.looked).toHaveLength(1);
});

test('a call that looks at many entries of a table looks at all of it, and no more', () => {
  const { watch, by, entries, whole } = watched();
  for (let page = 0; page < 48; page++) by.isThere(page * 4096);
  expect(watch.looked).toHaveLength(48);
  expect(watch.looked).not.toContain(whole);
  for (let page = 48; page < 600; page++) by.isThere(page * 4096);
  expect(watch.looked).toHaveLength(50);
  expect(watch.looked.at(-1)).toBe(whole);
  expect(watch.looked[48]).toBe(OBJECTS + entries.view(0, ANY_TREE, 48 * 4096, 48 * 4096, 1));
});

test('a call that is over is not watched', () => {
  const { watch, by } = watched();
  watch.end();
  by.isThere(0x1000);
  expect(watch.looked).toEqual([]);
});
