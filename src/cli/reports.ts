import { UsageError } from '../arguments.ts';
import { type JUnitSuite, junitXml } from '../verdict/junit.ts';
import { writeWhole } from './whole-file.ts';

/** How a command's results are told besides its lines: its options, as parseArguments takes them. */
export const REPORT_OPTIONS = { json: { type: 'boolean' }, junit: { type: 'string' } } as const;

/** What its help says of them. */
export const REPORT_HELP = `  --json             a JSON object a line, in place of text
  --junit FILE       the results as a JUnit report too`;

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
