import { RbLinks } from '../kernel/rb-links.ts';
import { type Shape, shapeOf } from './shapes.ts';

/** What an object held: never changed, so that several mementos may have it. */
export type Values = readonly unknown[];

/** How objects of one kind are kept. */
export interface Kind {
  /** What an object holds. */
  read(object: object): Values;
  /** Whether it still holds that. */
  same(object: object, values: Values): boolean;
  write(object: object, values: Values): void;
  /** How many of its values, the last ones, are copies of what is in it, and lead nowhere. */
  readonly copies: number;
  /** What can be reached through it. */
  children(values: Values): Values;
  /**
   * Code of a condition that holds where the object called `o` does not hold what the values called `v` say any more;
   * `kind` names this kind.
   */
  changed(o: string, v: string, kind: string): string;
}

/** The kind of an object. */
export function kindOf(object: object): Kind {
  if (Array.isArray(object)) return ARRAY;
  if (object instanceof Map) return MAP;
  if (object instanceof Set) return SET;
  if (ArrayBuffer.isView(object)) return BYTES;
  const shape = shapeOf(object);
  let kind = kinds.get(shape);
  if (!kind) {
    kind = object instanceof RbLinks ? new TableKind(object, shape) : new FieldsKind(shape);
    kinds.set(shape, kind);
  }
  return kind;
}

const kinds = new Map<Shape, Kind>();
const NONE: Values = [];

/** An object of fields. */
class FieldsKind implements Kind {
  readonly copies = 0;
  readonly read: Shape['read'];
  readonly same: Shape['same'];
  readonly write: Shape['write'];

  constructor(private readonly shape: Shape) {
    this.read = shape.read;
    this.same = shape.same;
    this.write = shape.write;
  }

  children(values: Values): Values {
    return values;
  }

  changed(o: string, v: string): string {
    return (
      this.shape.keys.map((key, i) => `${o}[${JSON.stringify(key)}] !== ${v}[${i}]`).join(' || ') || 'false'
    );
  }
}

/** What has members, whose number tells most changes. */
abstract class MembersKind implements Kind {
  readonly copies = 0;
  abstract read(object: object): Values;
  abstract same(object: object, values: Values): boolean;
  abstract write(object: object, values: Values): void;
  protected abstract readonly count: string;
  protected readonly each: number = 1;

  children(values: Values): Values {
    return values;
  }

  changed(o: string, v: string, kind: string): string {
    const { count, each } = this;
    const size = each === 1 ? `${o}.${count}` : `${o}.${count} * ${each}`;
    return `${size} !== ${v}.length || (${o}.${count} !== 0 && !${kind}.same(${o}, ${v}))`;
  }
}

class ArrayKind extends MembersKind {
  protected readonly count = 'length';

  read(array: readonly unknown[]): Values {
    return array.length === 0 ? NONE : array.slice();
  }

  same(array: readonly unknown[], values: Values): boolean {
    if (array.length !== values.length) return false;
    for (let i = 0; i < values.length; i++) if (array[i] !== values[i]) return false;
    return true;
  }

  write(array: unknown[], values: Values): void {
    array.length = values.length;
    for (let i = 0; i < values.length; i++) array[i] = values[i];
  }
}

class MapKind extends MembersKind {
  protected readonly count = 'size';
  protected override readonly each = 2;

  read(map: ReadonlyMap<unknown, unknown>): Values {
    return map.size === 0 ? NONE : [...map].flat(1);
  }

  same(map: ReadonlyMap<unknown, unknown>, values: Values): boolean {
    if (map.size * 2 !== values.length) return false;
    if (values.length === 2) return map.get(values[0]) === values[1] && map.has(values[0]);
    let i = 0;
    for (const [key, value] of map) if (key !== values[i++] || value !== values[i++]) return false;
    return true;
  }

  write(map: Map<unknown, unknown>, values: Values): void {
    map.clear();
    for (let i = 0; i < values.length; i += 2) map.set(values[i], values[i + 1]);
  }
}

class SetKind extends MembersKind {
  protected readonly count = 'size';

  read(set: ReadonlySet<unknown>): Values {
    return set.size === 0 ? NONE : [...set];
  }

  same(set: ReadonlySet<unknown>, values: Values): boolean {
    if (set.size !== values.length) return false;
    if (values.length === 1) return set.has(values[0]);
    let i = 0;
    for (const value of set) if (value !== values[i++]) return false;
    return true;
  }

  write(set: Set<unknown>, values: Values): void {
    set.clear();
    for (const value of values) set.add(value);
  }
}

/** Typed arrays and buffers. */
class BytesKind implements Kind {
  readonly copies = 1;

  read(view: ArrayBufferView): Values {
    return [Buffer.from(bytesOf(view))];
  }

  same(view: ArrayBufferView, [copy]: Values): boolean {
    return bytesOf(view).equals(copy as Buffer);
  }

  write(view: ArrayBufferView, [copy]: Values): void {
    (copy as Buffer).copy(bytesOf(view));
  }

  children(): Values {
    return NONE;
  }

  changed(o: string, v: string, kind: string): string {
    return `!${kind}.same(${o}, ${v})`;
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** Where a PinTable looked last, which is good within one call alone: it begins with a look of its own. */
const LOOKED_FOR = ['before', 'after'];

/** A table of slots: its fields, the columns themselves among them; and at the end what of those is in use, in one list. */
class TableKind implements Kind {
  readonly copies = 1;
  readonly read: Shape['read'];
  readonly same: Shape['same'];
  readonly write: Shape['write'];
  /** Whether the columns, which are the same as ever, hold the same. */
  readonly sameColumns: (values: Values) => boolean;

  /** Compiled, so that each column has code of its own: one that goes through columns of several types takes several times as long. */
  constructor(
    table: RbLinks,
    private readonly shape: Shape,
  ) {
    const { keys } = shape;
    const columns = shape.read(table).flatMap((value, i) => (ArrayBuffer.isView(value) ? [i] : []));
    const used = `v[${keys.indexOf('used')}]`;
    const each = (code: (a: string) => string) =>
      columns.map((at, i) => `const a${i} = v[${at}]; ${code(`a${i}`)}`).join('\n');
    const compile = (args: string, code: string) =>
      new Function('shape', `return (${args}) => {${code}}`)(shape);
    // Slot 0 is nobody's.
    this.read = compile(
      'o',
      `const v = shape.read(o), used = ${used};
      if (used === 1) { v.push([]); return v; }
      const c = new Array(used * ${columns.length});
      let p = 0;
      ${each((a) => `for (let j = 0; j < used; j++) c[p++] = ${a}[j];`)}
      v.push(c);
      return v;`,
    );
    this.sameColumns = compile(
      'v',
      `const used = ${used}, c = v[${keys.length}];
      if (used === 1) return true;
      let p = 0;
      ${each((a) => `for (let j = 0; j < used; j++) if (${a}[j] !== c[p++]) return false;`)}
      return true;`,
    );
    // A slot that was never in use has clear links.
    this.write = compile(
      'o, v',
      `const since = o.used, used = ${used}, c = v[${keys.length}];
      shape.write(o, v);
      let p = 0;
      if (used > 1) {${each((a) => `for (let j = 0; j < used; j++) ${a}[j] = c[p++];`)}}
      if (since > used) {${each((a) => `for (let j = used; j < since && j < ${a}.length; j++) ${a}[j] = 0;`)}}`,
    );
    this.same = (object, values) => shape.same(object, values) && this.sameColumns(values);
  }

  children(values: Values): Values {
    return values.slice(0, -1).filter((value) => !ArrayBuffer.isView(value));
  }

  changed(o: string, v: string, kind: string): string {
    const fields = this.shape.keys.flatMap((key, i) => {
      return LOOKED_FOR.includes(key) ? [] : [`${o}[${JSON.stringify(key)}] !== ${v}[${i}]`];
    });
    return `${fields.join(' || ')} || (${o}.used !== 1 && !${kind}.sameColumns(${v}))`;
  }
}

const ARRAY: Kind = new ArrayKind();
const MAP: Kind = new MapKind();
const SET: Kind = new SetKind();
const BYTES: Kind = new BytesKind();
