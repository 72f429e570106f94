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

type Column = Float64Array | Int32Array | Uint16Array | Uint8Array;
/** The columns of a table and its other fields, by name; `used` tells how many slots ever were. */
type Table = Record<string, unknown> & { used: number };

/** A table of slots: its fields, the columns themselves among them; and at the end copies of what of those is in use. */
class TableKind implements Kind {
  /** Which fields are columns, by place. */
  private readonly columns: readonly number[];
  private readonly usedAt: number;

  constructor(
    table: RbLinks,
    private readonly shape: Shape,
  ) {
    this.columns = shape.read(table).flatMap((value, i) => (ArrayBuffer.isView(value) ? [i] : []));
    this.usedAt = shape.keys.indexOf('used');
  }

  read(table: object): Values {
    const values = this.shape.read(table);
    const used = values[this.usedAt] as number;
    // Slot 0 is nobody's.
    values.push(used === 1 ? NONE : this.columns.map((at) => (values[at] as Column).slice(0, used)));
    return values;
  }

  same(table: object, values: Values): boolean {
    return this.shape.same(table, values) && this.sameColumns(values);
  }

  /** Whether the columns, which are the same as ever, hold the same. */
  sameColumns(values: Values): boolean {
    const copies = values[values.length - 1] as readonly Column[];
    for (let i = 0; i < copies.length; i++) {
      if (!startsWith(values[this.columns[i]!] as Column, copies[i]!)) return false;
    }
    return true;
  }

  write(table: object, values: Values): void {
    const { used: since } = table as Table;
    const used = values[this.usedAt] as number;
    this.shape.write(table, values);
    const copies = values[values.length - 1] as readonly Column[];
    for (let i = 0; i < this.columns.length; i++) {
      const column = values[this.columns[i]!] as Column;
      const copy = copies[i];
      if (copy) for (let slot = 0; slot < used; slot++) column[slot] = copy[slot]!;
      // A slot that was never in use has clear links.
      for (let slot = used; slot < since && slot < column.length; slot++) column[slot] = 0;
    }
  }

  children(values: Values): Values {
    return values.slice(0, -1).filter((value) => !ArrayBuffer.isView(value));
  }

  changed(o: string, v: string, kind: string): string {
    const fields = this.shape.keys.map((key, i) => `${o}[${JSON.stringify(key)}] !== ${v}[${i}]`);
    return `${fields.join(' || ')} || (${o}.used !== 1 && !${kind}.sameColumns(${v}))`;
  }
}

function startsWith(column: Column, copy: Column): boolean {
  for (let i = 0; i < copy.length; i++) if (column[i] !== copy[i]) return false;
  return true;
}

const ARRAY: Kind = new ArrayKind();
const MAP: Kind = new MapKind();
const SET: Kind = new SetKind();
const BYTES: Kind = new BytesKind();
