import type { Generation } from '../kernel/generations/index.ts';
import { hex } from '../kernel/pages.ts';
import type { LogEntry, SplatDetails } from '../kernel/splats.ts';

/** What a log line of a splat knows of its surroundings. */
export interface SplatContext {
  gen: Generation;
  call: string;
  container?: string | undefined;
  device?: string | undefined;
  reqId?: string | undefined;
  seq: number;
}

/** A logger, as pino's. */
export interface HostLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
}

/** The pid a console line shows for the emulated caller. */
const CALLER = 'CPU: 0 PID: 1000';
/** The same as kernels show it that name the file first. */
const CALLER_LAST = 'CPU#0: vfio-host/1000';

/** First line a real console shows for a splat, so that log scrapers made for it match. */
export function consoleLine(entry: LogEntry, gen: Generation): string {
  switch (entry.kind) {
    case 'PR_WARN':
      return entry.text;
    case 'BUG_ON':
      return `kernel BUG at ${entry.file}:${entry.line}!`;
    case 'DEADLOCK':
      return `INFO: task vfio-host:1000 blocked for ever: ${entry.condition}`;
    default:
      return gen.warningLine === 'file-first'
        ? `WARNING: ${entry.file}:${entry.line} at ${entry.function}, ${CALLER_LAST}`
        : `WARNING: ${CALLER} at ${entry.file}:${entry.line} ${entry.function}`;
  }
}

/** Writes the structured line of a splat: WARN_ON at `warn`, BUG_ON and DEADLOCK at `fatal`. */
export function logSplat(
  log: HostLogger,
  entry: LogEntry,
  details: SplatDetails,
  context: SplatContext,
): void {
  const { gen, container, device, ...rest } = context;
  const fields = {
    kernel: { ...entry, version: gen.version },
    container: details.container ?? container,
    device: details.device ?? device,
    ...(details.iova === undefined ? {} : { iova: hex(details.iova) }),
    ...(details.size === undefined ? {} : { size: hex(details.size) }),
    ...(details.attempt === undefined ? {} : { attempt: details.attempt }),
    ...(details.pinCount === undefined ? {} : { pinCount: details.pinCount }),
    ...(details.pins === undefined
      ? {}
      : { pins: details.pins.map((p) => ({ ...p, iova: hex(p.iova), pfn: `0x${p.pfn.toString(16)}` })) }),
    ...rest,
  };
  const fatal = entry.kind === 'BUG_ON' || entry.kind === 'DEADLOCK';
  log[fatal ? 'fatal' : 'warn'](fields, consoleLine(entry, gen));
}
