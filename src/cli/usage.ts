/** A command line that makes no sense; the message says why. */
export class UsageError extends Error {}

/** Exit code of a bad command line or environment (EX_USAGE). */
export const EXIT_USAGE = 64;
/** Exit code of an emulated kernel panic (EX_SOFTWARE). */
export const EXIT_PANIC = 70;
