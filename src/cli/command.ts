/** Where a command writes. */
export interface Output {
  /** A line of its result, to stdout. */
  out(line: string): void;
  /** A line to stderr. */
  err(line: string): void;
  /** Where progress is shown, if it is a terminal. */
  readonly terminal: NodeJS.WriteStream;
}

/** A command of the program. */
export interface Command {
  /** What `help` says of it: usage, options, exit codes. */
  readonly help: string;
  /**
   * Does it.
   *
   * @returns its exit code; null: it goes on by itself
   * @throws UsageError for a command line that makes no sense
   */
  run(args: readonly string[], output: Output): Promise<number | null>;
}
