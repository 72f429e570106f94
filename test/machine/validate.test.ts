import { Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { expect, test, vi } from 'vitest';
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

test('a schema is compiled for the second value that is held against it, and says of the first the same', () => {
  const compile = vi.spyOn(TypeCompiler, 'Compile');
  try {
    const check = checker(Type.Object({ n: Type.Integer({ minimum: 1 }) }, { additionalProperties: false }));
    expect(check({ n: 0 }, 'body')?.message).toBe('body/n is 0, but must be an integer');
    expect(compile).not.toHaveBeenCalled();
    expect(check({ n: 0 }, 'body')?.message).toBe('body/n is 0, but must be an integer');
    expect([check({ n: 1 }, 'body'), check({ n: 2 }, 'body')]).toEqual([null, null]);
    expect(compile).toHaveBeenCalledTimes(1);
  } finally {
    compile.mockRestore();
  }
});
