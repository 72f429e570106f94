#!/usr/bin/env node
import { UsageError } from './arguments.ts';
import { dispatch } from './cli/commands.ts';
import { EXIT_UNREACHABLE, EXIT_USAGE, UnreachableError } from './cli/exit.ts';

// A reader that has seen enough (`| head`) is no error of ours: the command goes on to its exit code.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const output = {
  out: (line: string) => void process.stdout.write(`${line}\n`),
  err: (line: string) => void process.stderr.write(`${line}\n`),
  terminal: process.stderr,
};

dispatch(process.argv.slice(2), output).then(
  (code) => {
    if (code !== null) process.exitCode = code;
  },
  (error: Error) => {
    output.err(`vfio-host: ${error.message}`);
    process.exitCode = exitCodeOf(error);
  },
);

function exitCodeOf(error: Error): number {
  if (error instanceof UsageError) return EXIT_USAGE;
  return error instanceof UnreachableError ? EXIT_UNREACHABLE : 1;
}
