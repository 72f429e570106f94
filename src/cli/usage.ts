import { type Options, type Parsed, parseArguments, UsageError } from '../arguments.ts';
import { type Generation, generationOf, VERSIONS_IN_WORDS } from '../kernel/generations/index.ts';

/**
 * Reads the command line of a command on trace files.
 *
 * @throws UsageError for an unknown option, or where no file is named
 */
export function parseTraceCommand<const T extends Options>(
  name: string,
  args: readonly string[],
  options: T,
): Parsed<T> {
  const parsed = parseArguments(args, options, true);
  if (parsed.positionals.length === 0) throw new UsageError(`${name} needs a trace`);
  return parsed;
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
  throw new UsageError(`${where} "${version}" is not one of ${VERSIONS_IN_WORDS}`);
}

/** A count with its noun. */
export function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
