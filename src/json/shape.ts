import { JsonError } from './depth.ts';

/** As much of a JSON schema as says how many items the lists of a value may have. */
export interface Shape {
  readonly type?: string;
  readonly description?: string;
  readonly maxItems?: number;
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly anyOf?: readonly Shape[];
}

/** Where in a text a value is. */
export interface Place {
  /** What it may be there; empty where that is not known. */
  readonly shapes: readonly Shape[];
  readonly path: string;
  /** Objects and arrays that it lies in. */
  readonly depth: number;
}

/** The place of a whole text. */
export function placeOf(shape: Shape | undefined): Place {
  return { shapes: variantsOf(shape), path: '', depth: 0 };
}

function variantsOf(shape: Shape | undefined): readonly Shape[] {
  if (!shape) return [];
  return shape.anyOf ? shape.anyOf.flatMap(variantsOf) : [shape];
}

/** A field of it. */
export function fieldOf({ shapes, path, depth }: Place, key: string): Place {
  const inner = shapes.flatMap(({ properties }) =>
    properties && Object.hasOwn(properties, key) ? variantsOf(properties[key]) : [],
  );
  return { shapes: inner, path: `${path}/${key}`, depth: depth + 1 };
}

/** An item of it. */
export function itemOf({ shapes, path, depth }: Place, index: number): Place {
  return {
    shapes: shapes.flatMap(({ items }) => variantsOf(items)),
    path: `${path}/${index}`,
    depth: depth + 1,
  };
}

/** What a list must be of which a schema says how many items it may have. */
export function listAt({ shapes }: Place): Shape | null {
  const lists = shapes.filter(({ type }) => type === 'array');
  if (lists.some(({ maxItems }) => maxItems === undefined)) return null;
  return lists.reduce<Shape | null>(
    (most, one) => (most && most.maxItems! > one.maxItems! ? most : one),
    null,
  );
}

/** A list that is longer than its schema lets it be. */
export function tooLong({ description, maxItems }: Shape, path: string): JsonError {
  return new JsonError(
    `has a list at ${path || '/'} that must be ${description ?? `of at most ${maxItems} items`}`,
  );
}

/** What must be in a list's place where none may be; null where one may, or where that is not known. */
export function strayAt({ shapes }: Place): Shape | null {
  return shapes.every(({ type }) => type !== undefined && type !== 'array') ? (shapes[0] ?? null) : null;
}

/** A list where none may be. */
export function noList({ description, type }: Shape, path: string): JsonError {
  return new JsonError(`has a list at ${path || '/'} that must be ${description ?? `of type ${type}`}`);
}
