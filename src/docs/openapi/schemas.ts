import { SideEffects } from '../../../schemas/calls/entry.ts';
import type { Json } from './json.ts';

const ANY_VALUE = {
  title: 'JsonValue',
  description: 'any JSON value',
  type: ['object', 'array', 'string', 'number', 'boolean', 'null'],
};
const EFFECTS_TITLE = 'Effects';
const EFFECTS = Object.keys(SideEffects);

/** Schemas that are written once, by the names of their components. */
export class SharedSchemas {
  readonly components = new Map<string, Json>();

  /** A schema as the document has it: what has a title becomes a reference to a component of that name. */
  write(schema: Json): Json {
    const written = this.shape(schema);
    const { title, ...plain } = written;
    if (typeof title !== 'string') return written;
    const name = componentName(title);
    const known = this.components.get(name);
    // Another of the same title stays where it is, with its title: a test wants it to have one of its own.
    if (known && JSON.stringify(known) !== JSON.stringify(plain)) return written;
    this.components.set(name, plain);
    return { $ref: `#/components/schemas/${name}` };
  }

  private shape(schema: Json): Json {
    const { description } = schema;
    if (Object.keys(schema).every((key) => key === 'description')) {
      return { ...this.write(ANY_VALUE), ...(description ? { description } : {}) };
    }
    const words = wordsOf(schema);
    if (words) return words;
    const properties = schema.properties as Record<string, Json> | undefined;
    if (properties && schema.title !== EFFECTS_TITLE && EFFECTS.every((name) => name in properties))
      return this.withEffects(schema, properties);
    return this.inside(schema);
  }

  /** An answer: its own fields, and what may come with every answer. */
  private withEffects(schema: Json, properties: Record<string, Json>): Json {
    const of = (wanted: (name: string) => boolean) =>
      Object.fromEntries(Object.entries(properties).filter(([name]) => wanted(name)));
    const effects = this.write({
      title: EFFECTS_TITLE,
      type: 'object',
      description: 'what may come with every answer; absent where there is nothing to say',
      properties: of((name) => EFFECTS.includes(name)),
    });
    const own = of((name) => !EFFECTS.includes(name));
    if (Object.keys(own).length === 0) return effects;
    return { allOf: [effects, this.inside({ ...schema, properties: own })] };
  }

  private inside(schema: Json): Json {
    const entries = Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
      switch (key) {
        case 'properties': {
          const fields = Object.entries(value as Record<string, Json>);
          if (fields.length === 0) return [];
          return [[key, Object.fromEntries(fields.map(([name, one]) => [name, this.write(one)]))]];
        }
        case 'patternProperties': {
          // A record: names of any characters.
          const [only, ...more] = Object.values(value as Record<string, Json>);
          if (more.length > 0) throw new Error('a schema with several patterns of names');
          return [['additionalProperties', this.write(only!)]];
        }
        case 'anyOf':
        case 'oneOf':
        case 'allOf':
          return [[key, (value as Json[]).map((one) => this.write(one))]];
        case 'items': {
          // A tuple, whose length is fixed.
          const places = placesOf(value as Json | Json[]);
          if (places) return [['prefixItems', places.map((one) => this.write(one))]];
          return [[key, this.write(value as Json)]];
        }
        case 'additionalItems':
          return [];
        case 'contentSchema':
          return [[key, this.write(value as Json)]];
        case 'additionalProperties':
          return [[key, typeof value === 'object' ? this.write(value as Json) : value]];
        default:
          return [[key, value]];
      }
    });
    return withDiscriminator(Object.fromEntries(entries), schema);
  }
}

/** The places of a tuple; null where all items are alike. */
function placesOf(items: Json | Json[]): Json[] | null {
  if (Array.isArray(items)) return items;
  return '0' in items ? (Object.values(items) as Json[]) : null;
}

/** `vfio-ap driver` is VfioApDriver. */
function componentName(title: string): string {
  return title.replace(/(?:^|[^A-Za-z0-9]+)([A-Za-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
}

/** A union of nothing but words as an enumeration; null where it is none. */
function wordsOf(schema: Json): Json | null {
  const { anyOf, ...rest } = schema as { anyOf?: Json[] };
  if (!anyOf?.every((one) => typeof one.const === 'string')) return null;
  return { ...rest, type: 'string', enum: anyOf.map((one) => one.const) };
}

/** Objects that tell themselves apart by a word say so. */
function withDiscriminator(written: Json, { anyOf }: Json): Json {
  const variants = (anyOf ?? []) as { properties?: Record<string, Json>; title?: string }[];
  const field = ['type', 'kind'].find((name) =>
    variants.every(({ properties, title }) => typeof properties?.[name]?.const === 'string' && title),
  );
  if (variants.length < 2 || !field) return written;
  const { anyOf: references, ...rest } = written as { anyOf: { $ref: string }[] };
  const mapping = Object.fromEntries(
    variants.map(({ properties }, at) => [properties![field]!.const, references[at]!.$ref]),
  );
  return { ...rest, oneOf: references, discriminator: { propertyName: field, mapping } };
}
