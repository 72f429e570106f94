import { Type } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { checker } from '../../src/machine/validate.ts';

test('of a long list in place of something else no more is looked at than the message shows', () => {
  let looks = 0;
  const look = <T>(seen: T): T => {
    looks++;
    return seen;
  };
  const list = new Proxy(new Array(1_000_000).fill(0), {
    get: (target, key) => look(Reflect.get(target, key)),
    has: (target, key) => look(Reflect.has(target, key)),
    ownKeys: (target) => {
      looks += target.length;
      return Reflect.ownKeys(target);
    },
  });
  const refused = checker(Type.Object({}, { additionalProperties: false }))(list, 'body');
  expect(refused?.message).toMatch(/^body is \[(0,){29}0…, but must be an object$/);
  expect(looks).toBeLessThan(1000);
});
