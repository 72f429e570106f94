import { RbLinks } from '../kernel/rb-links.ts';
import { type Shape, shapeOf } from './shapes.ts';

/** One object as it was. */
export interface Kept {
  /** What it held. */
  readonly children: readonly unknown[];
  /** Whether it still is so. */
  isSame(): boolean;
  restore(): void;
}

const NONE: readonly unknown[] = [];

/** An object as it is. */
export function keep(object: object): Kept {
  if (Array.isArray(object)) return new KeptArray(object);
  if (object instanceof Map) return new KeptMap(object);
  if (object instanceof Set) return new KeptSet(object);
  if (object instanceof RbLinks) return new KeptTable(object);
  if (ArrayBuffer.isView(object)) return new KeptBytes(object);
  return new KeptObject(object);
}

class KeptObject implements Kept {
  readonly children: unknown[];
  private readonly shape: Shape;

  constructor(private readonly object: object) {
    this.shape = shapeOf(object);
    this.children = this.shape.read(object);
  }

  isSame(): boolean {
    return this.shape.same(this.object, this.children);
  }

  restore(): void {
    this.shape.write(this.object, this.children);
  }
}

class KeptArray implements Kept {
  readonly children: readonly unknown[];

  constructor(private readonly array: unknown[]) {
    this.children = array.length === 0 ? NONE : array.slice();
  }

  isSame(): boolean {
    const { array, children } = this;
    if (array.length !== children.length) return false;
    for (let i = 0; i < children.length; i++) if (array[i] !== children[i]) return false;
    return true;
  }

  restore(): void {
    const { array, children } = this;
    if (array.length !== children.length) array.length = children.length;
    for (let i = 0; i < children.length; i++) array[i] = children[i];
  }
}

/** Typed arrays and buffers. */
class KeptBytes implements Kept {
  readonly children = NONE;
  private readonly bytes: Buffer;
  private readonly copy: Buffer;

  constructor({ buffer, byteOffset, byteLength }: ArrayBufferView) {
    this.bytes = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
    this.copy = Buffer.from(this.bytes);
  }

  isSame(): boolean {
    return this.bytes.equals(this.copy);
  }

  restore(): void {
    this.copy.copy(this.bytes);
  }
}

class KeptMap implements Kept {
  readonly children: readonly unknown[];

  constructor(private readonly map: Map<unknown, unknown>) {
    this.children = map.size === 0 ? NONE : [...map].flat(1);
  }

  isSame(): boolean {
    const { map, children } = this;
    if (map.size * 2 !== children.length) return false;
    if (children.length === 0) return true;
    if (children.length === 2) return map.get(children[0]) === children[1] && map.has(children[0]);
    let i = 0;
    for (const [key, value] of map) if (key !== children[i++] || value !== children[i++]) return false;
    return true;
  }

  restore(): void {
    if (this.isSame()) return;
    const { map, children } = this;
    map.clear();
    for (let i = 0; i < children.length; i += 2) map.set(children[i], children[i + 1]);
  }
}

class KeptSet implements Kept {
  readonly children: readonly unknown[];

  constructor(private readonly set: Set<unknown>) {
    this.children = set.size === 0 ? NONE : [...set];
  }

  isSame(): boolean {
    const { set, children } = this;
    if (set.size !== children.length) return false;
    if (children.length === 0) return true;
    let i = 0;
    for (const value of set) if (value !== children[i++]) return false;
    return true;
  }

  restore(): void {
    if (this.isSame()) return;
    this.set.clear();
    for (const child of this.children) this.set.add(child);
  }
}

type Column = Float64Array | Int32Array | Uint16Array | Uint8Array;
/** The columns of a table and its other fields, by name; `used` tells how many slots ever were. */
type Table = Record<string, unknown> & { used: number };

/** A table of slots: of its columns only what is in use. */
class KeptTable implements Kept {
  readonly children: readonly unknown[];
  private readonly names: string[] = [];
  private readonly columns: Column[] = [];
  private readonly copies: Column[] = [];
  private readonly used: number;
  private readonly table: Table;
  private readonly shape: Shape;
  private readonly values: readonly unknown[];

  constructor(table: RbLinks) {
    this.table = table as unknown as Table;
    this.shape = shapeOf(table);
    this.values = this.shape.read(table);
    this.used = this.table.used;
    for (const [i, value] of this.values.entries()) {
      if (!ArrayBuffer.isView(value)) continue;
      this.names.push(this.shape.keys[i]!);
      this.columns.push(value as Column);
      this.copies.push((value as Column).slice(0, this.used));
    }
    this.children = this.values.filter((value) => !ArrayBuffer.isView(value));
  }

  isSame(): boolean {
    const { table, shape, values, columns, copies, used } = this;
    if (!shape.same(table, values)) return false;
    // Slot 0 is nobody's.
    if (used === 1) return true;
    for (let i = 0; i < columns.length; i++) if (!startsWith(columns[i]!, copies[i]!)) return false;
    return true;
  }

  restore(): void {
    const { table, shape, values, columns, copies, used } = this;
    const since = table.used;
    shape.write(table, values);
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i]!;
      const copy = copies[i]!;
      for (let slot = 0; slot < used; slot++) column[slot] = copy[slot]!;
      // A slot that was never in use has clear links.
      for (let slot = used; slot < since && slot < column.length; slot++) column[slot] = 0;
    }
  }
}

function startsWith(column: Column, copy: Column): boolean {
  for (let i = 0; i < copy.length; i++) if (column[i] !== copy[i]) return false;
  return true;
}
