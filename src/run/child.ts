import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** How a program ended: its code, or 128 and the signal's number, as a shell says it. */
interface Ended {
  readonly code: number;
  /** In words. */
  readonly how: string;
}

/** Exit code of a program that is not there, and of one that cannot be run, as a shell has them. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Signals that are passed on. What a terminal sends, the program gets from it by itself. */
const PASSED = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const;
const FROM_TERMINAL = ['SIGINT', 'SIGQUIT'] as const;

/** Signals by which somebody wants this process to end. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Does something that ends earlier when this process is told to end, rather than with it. */
export async function untilSignalled<T>(work: (signalled: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  for (const signal of ENDING) process.on(signal, abort);
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of ENDING) process.off(signal, abort);
  }
}

/** Runs a program with this process's input and output, passes signals on, and waits for its end. */
export function runProgram([file, ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const pass = (signal: NodeJS.Signals) => void child.kill(signal);
  const fromTerminal = process.stdin.isTTY ? () => {} : pass;
  // Before the program runs: it may do what makes somebody send a signal before spawn() has returned.
  for (const signal of PASSED) process.on(signal, pass);
  for (const signal of FROM_TERMINAL) process.on(signal, fromTerminal);
  const child = spawn(file!, args, { env, stdio: 'inherit' });
  return new Promise<Ended>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE;
      resolve({ code, how: `could not be started: ${error.message}` });
    });
    child.on('exit', (code, signal) => {
      if (signal === null) resolve({ code: code!, how: `exit code ${code}` });
      else resolve({ code: 128 + constants.signals[signal], how: `killed by ${signal}` });
    });
  }).finally(() => {
    for (const signal of PASSED) process.off(signal, pass);
    for (const signal of FROM_TERMINAL) process.off(signal, fromTerminal);
  });
}
