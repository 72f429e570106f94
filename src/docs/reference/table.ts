import type { TSchema } from '@sinclair/typebox';

/** A table of Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

export function code(text: string): string {
  return `\`${text}\``;
}

/** What a value may be, in words. */
export function ruleOf(schema: TSchema): string {
  const { description, type, const: only, anyOf } = schema as TSchema & { anyOf?: TSchema[]; type?: string };
  if (description) return description;
  if (only !== undefined) return JSON.stringify(only);
  if (anyOf) return anyOf.map(ruleOf).join(' or ');
  if (type === 'array') return `an array of ${ruleOf(schema.items as TSchema)}`;
  if (type === 'boolean') return 'true or false';
  if (type === 'object') return `an object${fieldsIn(schema)}`;
  return type === undefined ? 'any value' : `a${/^[aio]/.test(type) ? 'n' : ''} ${type}`;
}

function fieldsIn({ properties }: TSchema): string {
  const names = Object.keys((properties ?? {}) as object);
  return names.length === 0 ? '' : `: ${names.join(', ')}`;
}
