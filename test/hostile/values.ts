import type { Random } from '../simulation/random.ts';

/** A JSON schema, as far as openapi.json uses it. */
export interface Schema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  $ref?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  items?: Schema | Schema[];
  minItems?: number;
  maxItems?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
}

/** Strings that match the patterns of the API, few of each, so that they meet. */
const MATCHING: readonly (readonly [start: string, values: readonly string[]])[] = [
  ['^[A-Za-z0-9][', ['c0', 'd0', 'd1', 'p0', 'default']],
  ['^[a-z0-9][', ['c0', 'c0', 'c1', 'd0', 'd0', 'd1', 'p0', 'p1', 'f0', 'op0', 'g0']],
  ['^[1-9]', ['1', '7', '4294967296']],
  ['^0x', ['0x0', '0x1000', '0x10000', '0x20000', '0xfffffffffffff000', '0x8', '0x100000000']],
  ['^(0|', ['0', '1', '3', '100', '999999999999']],
  ['^E', ['EINVAL', 'EIO', 'ENOMEM', 'ENOTANERRNO']],
  ['^(?:', ['', 'AQID', 'A'.repeat(4096), 'A'.repeat(65_536)]],
  ['^[0-9]', ['0', '1', '5', '999999999999999']],
];

/** Depth beyond which a value is a plain one. */
const DEPTH_MAX = 6;

/** Values of what a schema says, and of what it does not. */
export class Values {
  constructor(
    private readonly random: Random,
    private readonly schemas: Readonly<Record<string, Schema>>,
    /** Where a webhook may lead: nowhere but to this machine. */
    private readonly urls: readonly string[],
  ) {}

  /** A value that mostly is what a schema says. */
  of(schema: Schema, depth = 0): unknown {
    const { random } = this;
    if (random.chance(0.01)) return this.anything();
    if (schema.$ref) return this.of(this.schemas[schema.$ref.split('/').at(-1)!] ?? {}, depth + 1);
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return random.pick(schema.enum);
    if (schema.anyOf) return this.of(random.pick(schema.anyOf), depth + 1);
    if (depth > DEPTH_MAX) return null;
    switch (schema.type) {
      case 'object':
        return this.object(schema, depth);
      case 'array':
        return this.array(schema, depth);
      case 'integer':
      case 'number':
        return this.number(schema);
      case 'boolean':
        return random.chance(0.5);
      case 'null':
        return null;
      case 'string':
        return this.string(schema);
      default:
        return this.anything();
    }
  }

  private object({ properties = {}, required = [], additionalProperties }: Schema, depth: number): unknown {
    const { random } = this;
    const made: Record<string, unknown> = {};
    for (const [name, schema] of Object.entries(properties)) {
      if (required.includes(name) ? random.chance(0.01) : random.chance(0.6)) continue;
      made[name] = this.of(schema, depth + 1);
    }
    if (typeof additionalProperties === 'object')
      made[random.pick(['a', '0x1000'])] = this.of(additionalProperties, depth + 1);
    if (random.chance(0.02)) made[random.pick(['extra', '', '__proto__x', 'constructor'])] = this.anything();
    return made;
  }

  private array({ items, minItems = 0, maxItems = 8 }: Schema, depth: number): unknown[] {
    if (Array.isArray(items)) return items.map((item) => this.of(item, depth + 1));
    const length = Math.min(minItems + this.random.upTo(3), maxItems);
    return Array.from({ length }, () => this.of(items ?? {}, depth + 1));
  }

  private number({ minimum = 0, maximum = 2 ** 53 - 1, type }: Schema): number {
    const { random } = this;
    const edges = [minimum, maximum, minimum + 1, maximum - 1, 0, 1, 4096];
    switch (random.weighted({ small: 60, page: 20, edge: 15, wrong: 5 })) {
      case 'small':
        return Math.min(maximum, Math.max(minimum, random.upTo(4)));
      case 'page':
        return Math.min(maximum, Math.max(minimum, 4096 * random.upTo(32)));
      case 'edge':
        return random.pick(edges);
      default:
        return random.pick([minimum - 1, maximum + 1, type === 'integer' ? 0.5 : -0.5, 1e308, -0]);
    }
  }

  private string({ pattern, minLength = 0, maxLength = 64 }: Schema): string {
    const { random } = this;
    if (random.chance(0.01))
      return random.pick([
        '',
        '\u0000',
        '😀',
        'x'.repeat(maxLength + 1),
        '../../etc',
        '%2e%2e',
        "'",
        '\ud800',
      ]);
    if (pattern?.startsWith('^http')) return random.pick(this.urls) ?? 'http://127.0.0.1:1/';
    const matching = MATCHING.find(([start]) => pattern?.startsWith(start));
    return matching
      ? random.pick(matching[1])
      : 'x'.repeat(Math.max(minLength, random.upTo(Math.min(maxLength, 8))));
  }

  /** Anything but what is asked for. */
  private anything(): unknown {
    return this.random.pick([
      null,
      true,
      -1,
      0.5,
      1e21,
      '',
      'x',
      [],
      {},
      [[]],
      { a: { b: 1 } },
      '0x10000000000000000',
      2 ** 53,
    ]);
  }
}
