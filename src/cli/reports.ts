import { UsageError } from '../arguments.ts';
import { type JUnitSuite, junitXml } from '../verdict/junit.ts';
import { FileError, writeWhole } from '../whole-file.ts';
import type { Output } from './command.ts';

/** How a command's results are told besides its lines: its options, as parseArguments takes them. */
export const REPORT_OPTIONS = { json: { type: 'boolean' }, junit: { type: 'string' } } as const;

/** What its help says of them. */
export const REPORT_HELP = `  --json             a JSON object a line, in place of text
  --junit FILE       the results as a JUnit report too`;

/**
 * Writes the traces that a command has found to its file, where one is asked for. Where it cannot be written they are not
 * lost: they go to stdout.
 *
 * @param news those that are not in the file yet
 * @returns whether they are where they were asked for
 */
export function writeTraces(
  file: string | undefined,
  lines: readonly string[],
  { out, err }: Output,
  news: readonly string[] = lines,
): boolean {
  if (file !== undefined) {
    try {
      writeWhole(file, lines.map((line) => `${line}\n`).join(''));
      return true;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      err(`vfio-host: --out: ${error.message}; in place of that, stdout has the traces`);
    }
  }
  for (const line of news) out(line);
  return file === undefined;
}

/**
 * Writes a JUnit report where one is asked for.
 *
 * @throws UsageError where it cannot be written
 */
export function writeJUnit(file: string | undefined, suites: () => readonly JUnitSuite[]): void {
  if (file === undefined) return;
  try {
    writeWhole(file, junitXml(suites()));
  } catch (error) {
    throw new UsageError(`--junit: ${(error as Error).message}`);
  }
}
