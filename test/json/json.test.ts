import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isTooDeep, JsonError, jsonPieces, parseSteps } from '../../src/json.ts';
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
