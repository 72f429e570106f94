import { Kind, type TSchema, Type } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler, type ValueError } from '@sinclair/typebox/compiler';
import { Value } from '@sinclair/typebox/value';
import { BASE64, isBase64 } from '../../schemas/values.ts';
import { shownUrl } from '../drivers/external/redact.ts';
import { isTooDeep, TOO_DEEP } from '../json/depth.ts';
import { isSmall } from '../json/pieces.ts';
import { Refused } from './refused.ts';

/** Longest rendering of a wrong value in a message, characters. */
const SHOWN = 60;

/** Longest URL, characters. */
const URL_MAX = 2048;

/** A value as a message shows it. */
export function show(value: unknown): string {
  if (value === undefined) return 'missing';
  // JSON has no infinity: 1e400 would show as null.
  if (typeof value === 'number') return String(value);
  const text = head(value, SHOWN + 1);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** The first `room` characters or a few more of a value's JSON: however large or deep it is, no more is looked at. */
function head(value: unknown, room: number): string {
  if (typeof value === 'string') return JSON.stringify(textHead(value).slice(0, Math.max(room, 0)));
  if (typeof value !== 'object' || value === null) return String(value);
  const isList = Array.isArray(value);
  let text = isList ? '[' : '{';
  // No item takes less than a character: of a list so many are looked at, where going through its keys makes them all first.
  for (const key in isList ? value.slice(0, Math.max(room, 0)) : value) {
    if (text.length >= room) return text;
    if (text.length > 1) text += ',';
    if (!isList) text += `${JSON.stringify(key.slice(0, room))}:`;
    text += head((value as Record<string, unknown>)[key], room - text.length);
  }
  return text + (isList ? ']' : '}');
}

/** Of a text what may be shown: tokens of a URL are not. */
function textHead(text: string): string {
  return shownUrl(text.slice(0, URL_MAX));
}

/** A variant of a union of objects that are told apart by their `type`, or the one object that may be null. */
function variantOf(schema: TSchema, value: unknown): TSchema | null {
  const variants = (schema.anyOf ?? []) as TSchema[];
  const [only, ...others] = variants.filter((variant) => variant.type !== 'null');
  if (only?.type === 'object' && others.length === 0 && !Array.isArray(value)) return only;
  const { type } = (value ?? {}) as { type?: unknown };
  // Told apart by what they must have, where not by a type; what fits none is held against the first.
  if (knownTypes(schema).length === 0) {
    const objects = Array.isArray(value) ? [] : variants.filter((variant) => variant.type === 'object');
    const has = (name: string) => Object.hasOwn(value as object, name);
    return objects.find(({ required }) => required?.some(has)) ?? objects[0] ?? null;
  }
  if (type === undefined) return null;
  return variants.find((variant) => variant.properties?.type?.const === type) ?? null;
}

/** The `type`s a union of objects knows; empty where it is no such union. */
function knownTypes(schema: TSchema): string[] {
  const variants = (schema.anyOf ?? []) as TSchema[];
  return variants.map((variant) => variant.properties?.type?.const).filter((name) => name !== undefined);
}

/** What is wrong, in words: which value, and the rule it breaks. */
function explain(error: ValueError, where: string): string {
  if (typeof error.value === 'object' && error.value !== null) {
    const variant = variantOf(error.schema, error.value);
    const inner = variant && Value.Errors(variant, error.value).First();
    if (inner) return explain(inner, `${where}${error.path}`);
    const types = knownTypes(error.schema);
    if (types.length > 0) {
      const { type } = error.value as { type?: unknown };
      return `${where}${error.path}/type is ${show(type)}, but must be one of ${types.map(show).join(', ')}`;
    }
  }
  const path = `${where}${error.path}`;
  const rule = typeof error.schema.description === 'string' ? error.schema.description : null;
  // The compiler's own words where a property is not known at all.
  if (/Unexpected property/i.test(error.message)) return `${path} is not a known field`;
  if (error.value === undefined) return `${path} is missing${rule ? `: it must be ${rule}` : ''}`;
  return `${path} is ${show(error.value)}, but must be ${rule ?? ruleOf(error.schema, error.message)}`;
}

function ruleOf(schema: TSchema, message: string): string {
  if (typeof schema.const !== 'undefined') return show(schema.const);
  if (typeof schema.type === 'string') return `${/^[aeiou]/.test(schema.type) ? 'an' : 'a'} ${schema.type}`;
  return message.toLowerCase();
}

/**
 * The value of a line of NDJSON.
 *
 * @throws Refused where it is not JSON
 */
export function parseLine(line: string): unknown {
  if (isTooDeep(line)) throw Refused.badRequest(`the line ${TOO_DEEP}`);
  try {
    return JSON.parse(line);
  } catch {
    throw Refused.badRequest('the line is not JSON');
  }
}

/**
 * Whether a value is what a schema says. The schema is compiled when the second one comes: for one value alone that takes
 * longer than all else that is done with it, and with it comes most of the code that has not run yet.
 */
export function predicate(schema: TSchema): (value: unknown) => boolean {
  let compiled: TypeCheck<TSchema> | null = null;
  let isFirst = true;
  return (value) => {
    if (isFirst) {
      isFirst = false;
      return Value.Check(schema, value);
    }
    compiled ??= TypeCompiler.Compile(schema);
    return compiled.Check(value);
  };
}

/** A check against a schema that gives null, or a Refused naming the value and the rule. */
export function checker(schema: TSchema): (value: unknown, where: string) => Refused | null {
  const holds = predicate(schema);
  return (value, where) => (holds(value) ? null : refusalOf(schema, value, where));
}

/** Why a value is not what a schema says. */
function refusalOf(schema: TSchema, value: unknown, where: string): Refused {
  const first = Value.Errors(schema, value).First();
  return Refused.badRequest(first ? explain(first, where) : `${where} is not valid`);
}

/** A checker that throws what it finds. */
export function validator(schema: TSchema): (value: unknown, where: string) => void {
  const check = checker(schema);
  return (value, where) => {
    const refused = check(value, where);
    if (refused) throw refused;
  };
}

const CHECKERS = new WeakMap<TSchema, ReturnType<typeof checker>>();

function checkerOf(schema: TSchema): ReturnType<typeof checker> {
  const known = CHECKERS.get(schema) ?? checker(schema);
  CHECKERS.set(schema, known);
  return known;
}

/** Nodes of a schema that a route has compiled in one go, and of a part of one that is checked in steps. */
const NODES_MAX = 400;
const PART_NODES = 120;

/** How many nodes a schema has, counted up to NODES_MAX. */
const NODES = new WeakMap<TSchema, number>();

function nodesOf(schema: TSchema): number {
  const known = NODES.get(schema) ?? countNodes(schema, NODES_MAX);
  NODES.set(schema, known);
  return known;
}

/** Whether a schema takes long to compile: then it is better checked in steps, which compile its parts apart. */
export function isLargeSchema(schema: TSchema): boolean {
  return nodesOf(schema) >= NODES_MAX;
}

function countNodes(value: unknown, most: number): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 1;
  for (const inner of Object.values(value)) {
    count += countNodes(inner, most - count);
    if (count >= most) return most;
  }
  return count;
}

/**
 * The same check of a large value, or against a large schema, stopping now and then: its lists and objects are checked
 * item by item.
 */
export function* checkSteps(schema: TSchema, value: unknown, where: string): Generator<void, Refused | null> {
  const isLarge = nodesOf(schema) >= PART_NODES;
  if (!isLarge && isSmall(value)) return checkerOf(schema)(value, where);
  yield;
  if (isLarge && (typeof value !== 'object' || value === null)) {
    return Value.Check(schema, value) ? null : refusalOf(schema, value, where);
  }
  if (typeof value === 'string' && schema[Kind] === BASE64) {
    if (yield* isBase64Steps(value)) return null;
    // Its beginning is all that the message shows; the asterisk is no character of base64.
    return checkerOf(schema)(`${value.slice(0, 2 * SHOWN)}*`, where);
  }
  if (typeof value !== 'object') return checkerOf(schema)(value, where);
  const variant = schema.anyOf ? variantOf(schema, value) : null;
  if (variant) return yield* checkSteps(variant, value, where);
  if (schema.type === 'array' && schema.items && Array.isArray(value)) {
    const { items: _items, ...bounds } = schema;
    const wrong = checkerOf(boundsOf(schema, bounds))(value, where);
    if (wrong) return wrong;
    for (const [i, item] of value.entries()) {
      const refused = yield* checkSteps(schema.items, item, `${where}/${i}`);
      if (refused) return refused;
      if (i % 64 === 0) yield;
    }
    return null;
  }
  if (schema.type !== 'object' || !schema.properties || Array.isArray(value))
    return checkerOf(schema)(value, where);
  const object = value as Record<string, unknown>;
  const missing = schema.required?.find((key: string) => !Object.hasOwn(object, key));
  if (missing !== undefined) return refusalOf(schema, value, where);
  for (const key in object) {
    if (schema.additionalProperties !== false || Object.hasOwn(schema.properties, key)) continue;
    return Refused.badRequest(`${where}/${key} is not a known field`);
  }
  for (const [key, property] of Object.entries(schema.properties as Record<string, TSchema>)) {
    if (!Object.hasOwn(object, key)) continue;
    const refused = yield* checkSteps(property, object[key], `${where}/${key}`);
    if (refused) return refused;
    if (isLarge) yield;
  }
  return null;
}

/** Characters that are looked at in one go. */
const PIECE = 256 * 1024;

function* isBase64Steps(text: string): Generator<void, boolean> {
  if (text.length % 4 !== 0) return false;
  for (let at = 0; at + PIECE < text.length; at += PIECE) {
    if (!/^[A-Za-z0-9+/]*$/.test(text.slice(at, at + PIECE))) return false;
    yield;
  }
  return isBase64(text.slice(text.length - (text.length % PIECE || PIECE)));
}

const BOUNDS = new WeakMap<TSchema, TSchema>();

/** A list's schema without what it says of its items. */
function boundsOf(schema: TSchema, bounds: object): TSchema {
  const known = BOUNDS.get(schema) ?? Type.Array(Type.Unknown(), bounds);
  BOUNDS.set(schema, known);
  return known;
}
