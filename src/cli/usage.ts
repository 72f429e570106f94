import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Generation, generationOf, KERNEL_VERSIONS } from '../kernel/generations/index.ts';

/** A command line that makes no sense; the message says why. */
export class UsageError extends Error {}

/** Exit code of a bad command line or environment (EX_USAGE). */
export const EXIT_USAGE = 64;
/** Exit code of an emulated kernel panic (EX_SOFTWARE). */
export const EXIT_PANIC = 70;

/** Exit codes of a command that holds traces against something: nothing differs; something does. */
export const SAME = 0;
export const DIFFERENT = 1;

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ options: T; allowPositionals: true; strict: true }>
>;

/**
 * Reads the command line of a command on trace files.
 *
 * @throws UsageError for an unknown option, or where no file is named
 */
export function parseTraceCommand<const T extends Options>(
  name: string,
  args: readonly string[],
  options: T,
): { values: Parsed<T>['values']; files: string[] } {
  const { values, positionals } = parse(args, options);
  if (positionals.length === 0) throw new UsageError(`${name} needs a trace`);
  return { values, files: positionals };
}

function parse<const T extends Options>(args: readonly string[], options: T): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/**
 * A generation by its version.
 *
 * @param where what named it
 * @throws UsageError where there is none
 */
export function generationNamed(version: string, where: string): Generation {
  const gen = generationOf(version);
  if (gen) return gen;
  throw new UsageError(`${where} "${version}" is not one of ${KERNEL_VERSIONS.join(', ')}`);
}
