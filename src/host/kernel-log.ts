import type { Generation } from '../kernel/generations/index.ts';
import { splatDetails } from '../kernel/splat-report.ts';
import type { LogEntry, SplatEvent } from '../kernel/splats.ts';
import type { Task } from '../kernel/task.ts';
import type { CallTask } from '../machine/call-task.ts';

/** A logger, as pino's. */
export interface HostLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
}

/** Who runs, as the console shows it. */
export interface Current {
  readonly comm: string;
  readonly pid: number;
}

/** Who runs where no process does. */
const KTHREAD: Current = { comm: 'kworker/0:1', pid: 23 };

/** The thread a call runs in: of the process that makes it, or of the kernel. */
export function currentOf({ process, thread }: Task): Current {
  const { comm, pid } = process ?? KTHREAD;
  return thread === 0 ? { comm, pid } : { comm: `${comm.slice(0, 12)}-${thread}`, pid: pid + thread };
}

/** First line a real console shows for a splat, so that log scrapers made for it match. */
export function consoleLine(entry: LogEntry, { comm, pid }: Current, gen: Generation): string {
  switch (entry.kind) {
    case 'PR_ERR':
    case 'PR_WARN':
    case 'PR_NOTICE':
    case 'PR_INFO':
      return entry.text;
    case 'BUG_ON':
      return `kernel BUG at ${entry.file}:${entry.line}!`;
    case 'DEADLOCK':
      return `INFO: task ${comm}:${pid} blocked for ever: ${entry.condition}`;
    default:
      return gen.console.warningLine === 'file-first'
        ? `WARNING: ${entry.file}:${entry.line} at ${entry.function}, CPU#0: ${comm}/${pid}`
        : `WARNING: CPU: 0 PID: ${pid} at ${entry.file}:${entry.line} ${entry.function}`;
  }
}

/** Writes the structured line of a splat: WARN_ON at `warn`, BUG_ON and DEADLOCK at `fatal`. */
export function logSplat(log: HostLogger, task: CallTask, event: SplatEvent, seq: number): void {
  const { call, container, device, reqId, kernel } = task;
  const { entry } = event;
  const fields = {
    container,
    device,
    ...splatDetails(event),
    kernel: { ...entry, version: kernel.gen.version },
    call,
    reqId,
    seq,
  };
  const fatal = entry.kind === 'BUG_ON' || entry.kind === 'DEADLOCK';
  log[fatal ? 'fatal' : 'warn'](fields, consoleLine(entry, currentOf(task), kernel.gen));
}
