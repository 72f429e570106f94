/** The fields of the objects of one make, read and written without looking each up by its name. */
export interface Shape {
  readonly keys: readonly string[];
  /** Every field's value, in the order of `keys`. */
  read(object: object): unknown[];
  write(object: object, values: readonly unknown[]): void;
  /** Whether every field still has that value. */
  same(object: object, values: readonly unknown[]): boolean;
}

const byKeys = new Map<string, Shape>();
const byMaker = new Map<unknown, Shape>();

/**
 * The shape of an object. Those of one class have the same fields: those that are declared in it, and all are (the
 * compiler sees to it that a class has no others).
 */
export function shapeOf(object: object): Shape {
  const maker = object.constructor;
  if (maker === Object) return plainShape(object);
  let shape = byMaker.get(maker);
  if (!shape) {
    shape = plainShape(object);
    byMaker.set(maker, shape);
  }
  return shape;
}

function plainShape(object: object): Shape {
  const keys = Object.keys(object);
  const name = keys.join('\n');
  let shape = byKeys.get(name);
  if (!shape) {
    shape = makeShape(keys);
    byKeys.set(name, shape);
  }
  return shape;
}

/** Compiled, because it is done for every object at every step: a field by a computed name takes ten times as long. */
function makeShape(keys: readonly string[]): Shape {
  const at = keys.map((key) => `o[${JSON.stringify(key)}]`);
  const compile = (args: string, code: string) => new Function(...args.split(','), code);
  return {
    keys,
    read: compile('o', `return [${at.join()}];`) as Shape['read'],
    write: compile('o,v', at.map((field, i) => `${field} = v[${i}];`).join('')) as Shape['write'],
    same: compile(
      'o,v',
      `return ${at.map((field, i) => `${field} === v[${i}]`).join(' && ') || 'true'};`,
    ) as Shape['same'],
  };
}
