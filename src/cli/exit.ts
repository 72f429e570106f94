import { UsageError } from '../arguments.ts';
import { FileError } from '../whole-file.ts';

/** Exit codes of a command that holds traces against something: nothing differs; something does. */
export const SAME = 0;
export const DIFFERENT = 1;
/** Exit code where a service that was named does not answer. */
const EXIT_UNREACHABLE = 2;
/** Exit code of a bad command line or environment (EX_USAGE). */
const EXIT_USAGE = 64;
/** Exit code where a command itself could not do its work (EX_UNAVAILABLE). */
export const EXIT_UNAVAILABLE = 69;
/** Exit code of an emulated kernel panic (EX_SOFTWARE). */
export const EXIT_PANIC = 70;

/** A service that was named does not answer; the message names it and why. */
export class UnreachableError extends Error {}

/** The exit code of a command that failed. */
export function exitCodeOf(error: Error): number {
  if (error instanceof UsageError) return EXIT_USAGE;
  if (error instanceof FileError) return EXIT_UNAVAILABLE;
  return error instanceof UnreachableError ? EXIT_UNREACHABLE : 1;
}
