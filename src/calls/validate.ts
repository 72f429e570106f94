import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler, type ValueError } from '@sinclair/typebox/compiler';
import { RequestProblem } from './problem.ts';

/** Longest rendering of a wrong value in a message, characters. */
const SHOWN = 60;

/** A value as a message shows it. */
function show(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** What is wrong, in words: which value, and the rule it breaks. */
export function explain(error: ValueError, where: string): string {
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

/** Compiles a schema into a check that throws a RequestProblem (400) naming the value and the rule. */
export function validator(schema: TSchema): (value: unknown, where: string) => void {
  const compiled = TypeCompiler.Compile(schema);
  return (value, where) => {
    if (compiled.Check(value)) return;
    const first = compiled.Errors(value).First();
    throw RequestProblem.badRequest(first ? explain(first, where) : `${where} is not valid`);
  };
}
