import { describe, expect, test } from 'vitest';
import { ANY_TREE, ENTRIES, Entries, NONE } from '../../src/explore/entries.ts';
import { entryAt, Form, highOf, lowOf, Numbering, objectAt } from '../../src/explore/form.ts';

const ALL = Number.POSITIVE_INFINITY;

describe('the entries of tables', () => {
  test('have the same numbers for all who share their memory, and so have views of them', () => {
    const memory = new SharedArrayBuffer(Entries.bytes);
    const [one, other] = [new Entries(memory), new Entries(memory)];
    const number = one.entry(0, 7, 0x1000);
    expect(other.entry(0, 7, 0x2000)).not.toBe(number);
    expect(other.entry(0, 7, 0x1000)).toBe(number);
    const view = other.view(0, ANY_TREE, 0x1000, 0x1fff, 1);
    expect(one.view(0, ANY_TREE, 0x1000, 0x1fff, 2)).not.toBe(view);
    expect(one.view(0, ANY_TREE, 0x1000, 0x1fff, 1)).toBe(view);
    expect(one.mostOf(view)).toBe(1);
  });

  test('are in a view by table, tree and key, those too that are met later', () => {
    const entries = new Entries();
    const first = entries.entry(0, 1, 0x1000);
    const ofOther = entries.entry(1, 1, 0x1000);
    const [anyTree, oneTree] = [entries.view(0, ANY_TREE, 0x1000, 0x2000, 1), entries.view(0, 2, 0, ALL, 1)];
    expect(entries.in(anyTree)).toEqual([first]);
    expect(entries.in(oneTree)).toEqual([]);
    const last = entries.entry(0, 2, 0x2000);
    entries.entry(0, 1, 0x2001);
    expect(entries.in(anyTree)).toEqual([first, last]);
    expect(entries.in(oneTree)).toEqual([last]);
    expect(entries.tableOf(ofOther)).toBe(1);
  });

  test('beyond the room for them have no number; a view beyond it is of the whole table', () => {
    const entries = new Entries();
    entries.begin(1);
    for (let key = 0; key < ENTRIES; key++) expect(entries.entry(0, 0, key)).toBe(key);
    expect(entries.entry(0, 0, ENTRIES)).toBe(NONE);
    expect(entries.entry(0, 0, 2 ** 60)).toBe(NONE);
    const views = Array.from({ length: 1100 }, (_, key) => entries.view(0, ANY_TREE, key, key, 1));
    const whole = views.at(-1)!;
    expect(entries.in(whole)).toHaveLength(ENTRIES);
    expect(entries.mostOf(whole)).toBe(ALL);
    expect(entries.in(views[3]!)).toEqual([3]);
  });
});

describe('a form', () => {
  test('counts more of an entry by as much whatever else it has', () => {
    const more = (count: number) => [
      (lowOf(5, 7, count + 2) - lowOf(5, 7, count)) | 0,
      (highOf(5, 7, count + 2) - highOf(5, 7, count)) | 0,
    ];
    expect(more(1)).toEqual(more(40));
    expect([lowOf(0, 0, 0), highOf(0, 0, 0)]).toEqual([0, 0]);
  });

  test('is the sum of its parts, whatever was changed in which order', () => {
    const empty = () => new Form(new Numbering(), new Int32Array(objectAt(3)), 0, 0);
    const [one, other] = [empty(), empty()];
    one.setEntry(4, 11, 12, 1);
    one.setObject(2, 21, 22);
    one.setEntry(4, 11, 12, 3);
    other.setObject(2, 1, 1);
    other.setEntry(4, 11, 12, 3);
    other.setObject(2, 21, 22);
    expect(one.copy()).toEqual(other);
    expect(one.sumLow).toBe((lowOf(11, 12, 3) + 21) | 0);
    one.setEntry(4, 0, 0, 0);
    expect([one.sumLow, one.sumHigh]).toEqual([21, 22]);
    expect(one.words[entryAt(4) + 2]).toBe(0);
  });
});
