import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Base64Bytes } from '../../src/json/base64.ts';
import { isTooDeep, JsonError } from '../../src/json/depth.ts';
import { parseSteps } from '../../src/json/parse.ts';
import { isSmall, jsonPieces, LongList } from '../../src/json/pieces.ts';
import { atOnce } from '../../src/turns.ts';
import { fuzz } from '../harness/fuzz.ts';

const parsed = (text: string) => atOnce(parseSteps(text));

/** A list and an object that are far longer than a piece. */
const LONG = Array.from({ length: 20_000 }, (_, i) => ({
  i,
  text: `"${i}\\ ]},`,
  list: [i, null, { a: [] }],
}));
const WIDE = Object.fromEntries(LONG.slice(0, 9000).map((item, i) => [`key ${i}"`, item]));

test.each([
  ['a long list', LONG],
  ['a wide object', WIDE],
  ['long lists in each other', { a: { b: [LONG, [WIDE]] }, c: 'x'.repeat(100_000) }],
  ['nothing', {}],
])('%s is parsed in pieces as in one go, and stops on the way', (_, value) => {
  for (const indent of [undefined, 1]) {
    const text = JSON.stringify(value, null, indent);
    expect(parsed(text)).toEqual(value);
    expect([...jsonPieces(value)].join('')).toBe(JSON.stringify(value));
  }
  let stops = 0;
  for (const steps = parseSteps(JSON.stringify({ LONG })); !steps.next().done; ) stops++;
  expect(stops).toBeGreaterThan(10);
});

test('any value: parsed and written in pieces as in one go', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(3), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(parsed(text)).toEqual(JSON.parse(text));
      expect([...jsonPieces(value)].join('')).toBe(JSON.stringify(value));
    }),
    fuzz('json', 500),
  );
});

test('a text with one character changed: refused or parsed as JSON.parse does', () => {
  const text = JSON.stringify({ a: [1, { b: 'c' }, [], {}], d: { e: null } });
  for (let at = 0; at < text.length; at++) {
    for (const other of ['', ',', '"', ']', '}', '[', '{', ':', '0', ' ']) {
      const changed = text.slice(0, at) + other + text.slice(at + 1);
      let expected: unknown = JsonError;
      try {
        expected = JSON.parse(changed);
      } catch {}
      let actual: unknown = JsonError;
      try {
        actual = parsed(changed);
      } catch (error) {
        if (!(error instanceof JsonError || error instanceof SyntaxError)) throw error;
      }
      expect(actual, changed).toEqual(expected);
    }
  }
});

test('objects and arrays deeper than the limit are refused, in one go and in pieces; up to it they are not', () => {
  const nested = (depth: number) => `${'[{"a":'.repeat(depth / 2)}0${'}]'.repeat(depth / 2)}`;
  expect(isTooDeep(nested(100))).toBe(false);
  expect(parsed(nested(100))).toEqual(JSON.parse(nested(100)));
  for (const depth of [102, 5000, 100_000]) {
    expect(isTooDeep(nested(depth))).toBe(true);
    expect(() => parsed(nested(depth))).toThrow('more than 100 deep');
  }
  expect(isTooDeep(`"${'['.repeat(1000)}"`)).toBe(false);
});

test('a list that is made while it is written is written whole', () => {
  const items = function* () {
    for (let i = 0; i < 3; i++) yield { i };
  };
  expect([...jsonPieces({ items: items(), none: [][Symbol.iterator](), left: undefined })].join('')).toBe(
    '{"items":[{"i":0},{"i":1},{"i":2}],"none":[]}',
  );
});

test('an object with more fields than anything here has is refused, before it takes seconds to go through', () => {
  const text = (fields: number) => `{${Array.from({ length: fields }, (_, i) => `"f${i}":0`).join(',')}}`;
  expect(Object.keys(parsed(text(10_000)) as object)).toHaveLength(10_000);
  expect(() => parsed(text(10_001))).toThrow('more than 10000 fields');
});

test('a text that comes in parts is parsed as the whole, wherever it is cut', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.array(fc.integer({ min: 1, max: 9 })), (value, sizes) => {
      const text = JSON.stringify(value, null, sizes.length % 2);
      const parts: string[] = [];
      for (let at = 0, i = 0; at < text.length; i++) {
        const size = sizes.length === 0 ? 3 : sizes[i % sizes.length]!;
        parts.push(text.slice(at, at + size));
        at += size;
      }
      expect(atOnce(parseSteps(parts))).toEqual(JSON.parse(text));
    }),
    fuzz('json in parts', 500),
  );
});

test('so is a long one, whose items lie deep and reach over its parts', () => {
  const value = { a: { b: [{ c: LONG }, LONG, 'x'.repeat(100_000), { d: [[LONG]] }] } };
  const text = JSON.stringify(value);
  for (const size of [1000, 32 * 1024, 64 * 1024 + 1]) {
    const parts = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
      text.slice(i * size, (i + 1) * size),
    );
    expect(atOnce(parseSteps(parts, { values: Number.POSITIVE_INFINITY }))).toEqual(value);
  }
});

test.each([
  ['escapes at every place', '\\"\u00e9\ud83d\ude00'.repeat(30_000)],
  ['backslashes alone', '\\'.repeat(100_001)],
  ['characters of two halves', '\u{1f600}'.repeat(50_001)],
])('a long string is parsed and written in pieces: %s', (_, text) => {
  expect(parsed(JSON.stringify({ text }))).toEqual({ text });
  const pieces = [...jsonPieces({ text })];
  expect(JSON.parse(pieces.join(''))).toEqual({ text });
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(256 * 1024);
});

test('what a piece may not have in it is refused, be it a key alone', () => {
  const refused = { pattern: /"bad"\s*:/, why: 'has what is bad' };
  for (const text of ['{"bad":1}', `{"a":[{"b":1,"bad" :2}]}`, `{"bad":"${'x'.repeat(100_000)}"}`]) {
    expect(() => atOnce(parseSteps(text, { refused })), text.slice(0, 30)).toThrow('has what is bad');
  }
});

test('bytes and lists that are much are written in pieces, and are what JSON.stringify makes of them', () => {
  const bytes = new Uint8Array(1_000_001).map((_, i) => i * 7);
  const value = { data: new Base64Bytes(bytes), list: new LongList(() => new Set([1, 2, [3]])) };
  const pieces = [...jsonPieces(value)];
  expect(pieces.join('')).toBe(JSON.stringify(value));
  expect(Buffer.from(JSON.parse(pieces.join('')).data, 'base64').equals(Buffer.from(bytes))).toBe(true);
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(128 * 1024);
  expect([isSmall(value), isSmall({ text: 'x'.repeat(200_000) }), isSmall({ a: [1, 'x'] })]).toEqual([
    false,
    false,
    true,
  ]);
});

test('a list that its schema lets not be so long is refused where it becomes too long, whatever comes behind', () => {
  const few = { type: 'array', maxItems: 1000, description: 'an array of at most 1000 steps' };
  const shape = {
    anyOf: [{ type: 'null' }, { type: 'object', properties: { a: { type: 'array', items: few } } }],
  };
  const taken: number[] = [];
  const parts = function* () {
    yield '{"b":[1],"a":[[],[';
    for (let i = 0; i < 100; i++) {
      taken.push(i);
      yield '{},'.repeat(1000);
    }
  };
  expect(() => atOnce(parseSteps(parts(), { shape }))).toThrow(
    'has a list at /a/1 that must be an array of at most 1000 steps',
  );
  // One piece, not the hundred.
  expect(taken.length).toBeLessThan(15);
});

test('a list whose schema does not bound it, or that has none, is read whole', () => {
  const text = `{"a":[${'1,'.repeat(200_000)}1],"b":[${'1,'.repeat(200_000)}1]}`;
  const shape = { type: 'object', properties: { a: { type: 'array' } } };
  expect(atOnce(parseSteps(text, { shape }))).toEqual(JSON.parse(text));
});

test('a list where its schema has none is refused when it is long, whatever comes behind', () => {
  const shape = {
    type: 'object',
    properties: { data: { type: 'string', description: 'bytes in base64' }, any: {} },
  };
  let taken = 0;
  const parts = function* (begin: string) {
    yield begin;
    for (taken = 0; taken < 100; taken++) yield '0,'.repeat(100_000);
    yield '0]}';
  };
  const refused = (begin: string) => () => atOnce(parseSteps(parts(begin), { shape, values: 1e9 }));
  expect(refused('[')).toThrow('has a list at / that must be of type object');
  expect(taken).toBeLessThan(2);
  expect(refused('{"data":[')).toThrow('has a list at /data that must be bytes in base64');
  expect(taken).toBeLessThan(2);
  // Where it is not known what may be, a list may.
  for (const [key, count] of [
    ['any', 50_000],
    ['unknown', 50_000],
    ['data', 1000],
  ] as const) {
    const text = `{"${key}":[${'0,'.repeat(count - 1)}0]}`;
    expect(atOnce(parseSteps(text, { shape }))).toEqual({ [key]: new Array(count).fill(0) });
  }
});

test('a text that is longer than any that is taken is refused where it becomes that', () => {
  const MIB = 1024 * 1024;
  let taken = 0;
  const parts = function* (pieces: number) {
    yield '{"data":"';
    for (taken = 0; taken < pieces; taken++) yield 'A'.repeat(MIB);
    yield '"}';
  };
  expect(() => atOnce(parseSteps(parts(100)))).toThrow('has a text of more than 22369624 characters');
  expect(taken).toBe(21);
  expect(atOnce(parseSteps(parts(21)))).toEqual({ data: 'A'.repeat(21 * MIB) });
});
