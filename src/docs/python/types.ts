import type { Json } from '../openapi/json.ts';

/** Components that the generated module names itself. */
const OWN: Readonly<Record<string, string>> = { Hex: 'str', JsonValue: 'Any' };

/** A JSON schema as a type hint of Python. */
export function hintOf(schema: Json): string {
  const {
    $ref,
    type,
    enum: words,
    anyOf,
    oneOf,
    items,
  } = schema as {
    $ref?: string;
    type?: string | string[];
    enum?: unknown[];
    anyOf?: Json[];
    oneOf?: Json[];
    items?: Json;
  };
  if ($ref) return OWN[$ref.split('/').at(-1)!] ?? 'Dict[str, Any]';
  if (words) return `Literal[${words.map(literalOf).join(', ')}]`;
  const variants = anyOf ?? oneOf;
  if (variants) return unionOf(variants.map(hintOf));
  if ('const' in schema) return `Literal[${literalOf(schema.const)}]`;
  switch (type) {
    case 'string':
      return 'str';
    case 'integer':
      return 'int';
    case 'number':
      return 'float';
    case 'boolean':
      return 'bool';
    case 'null':
      return 'None';
    case 'array':
      return items ? `Sequence[${hintOf(items)}]` : 'Sequence[Any]';
    default:
      return 'Dict[str, Any]';
  }
}

/** A value as Python writes it. */
function literalOf(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return JSON.stringify(value);
}

function unionOf(hints: readonly string[]): string {
  const different = [...new Set(hints)];
  // An address or a size: any integer is sent as it is or as 0x….
  if (different.length === 2 && different.includes('str') && different.includes('int')) return 'Address';
  return different.length === 1 ? different[0]! : `Union[${different.join(', ')}]`;
}
