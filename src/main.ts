#!/usr/bin/env node
import { dispatch } from './cli/commands.ts';
import { exitCodeOf } from './cli/exit.ts';

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
