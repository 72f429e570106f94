import { levels } from 'pino';
import { DEFAULT_CONFIG } from '../config.ts';
import { DEFAULT_RIG } from '../rig/rigs.ts';
import { type Paint, paintFor } from './paint.ts';

/** A log line as it is written elsewhere: one JSON object. */
type LogLine = Record<string, unknown> & { level: number; time: number; msg?: string };

/** Fields that a reader at a terminal has no use for, or that are in the message already. */
const LEFT_OUT = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'advisory', 'reqId', 'err']);
/** Longest a field's value is shown, characters. */
const SHOWN = 120;

const COLOURS = {
  trace: 'gray',
  debug: 'gray',
  info: 'green',
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
} as const;

/** Takes log lines and writes them to a terminal so that people can read them. */
export function prettyStream(to: { write(text: string): unknown }): { write(line: string): void } {
  const paint = paintFor({ isTTY: true });
  return { write: (line) => void to.write(`${prettyLine(line, paint)}\n`) };
}

/** One log line: time, level, message, and what else it says. */
export function prettyLine(line: string, paint: Paint): string {
  const entry = JSON.parse(line) as LogLine;
  const level = (levels.labels[entry.level] ?? String(entry.level)) as keyof typeof COLOURS;
  const time = new Date(entry.time).toTimeString().slice(0, 8);
  const fields = Object.entries(entry).flatMap(([name, value]) => fieldOf(name, value));
  const colour = COLOURS[level] ?? 'reset';
  const message = entry.msg ?? '';
  return [
    paint('gray', time),
    paint(colour, level.toUpperCase().padEnd(5)),
    level === 'fatal' ? paint(['bold', colour], message) : message,
    ...fields.map((field) => paint('gray', field)),
    ...traceOf(entry.err),
  ].join(' ');
}

/** What is said of a field: nothing, or `name=value`. */
function fieldOf(name: string, value: unknown): string[] {
  if (
    LEFT_OUT.has(name) ||
    value === undefined ||
    value === null ||
    (name === 'rig' && value === DEFAULT_RIG)
  )
    return [];
  if (name === 'config') return changed(value as Record<string, unknown>);
  if (name === 'kernel') return [kernelOf(value as Record<string, unknown>)];
  if (name === 'pins') return [`pins=${(value as Pin[]).map(pinOf).join(',')}`];
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return [`${name}=${text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text}`];
}

/** The settings that are not as they are by default. */
function changed(config: Record<string, unknown>): string[] {
  const defaults: Record<string, unknown> = { ...DEFAULT_CONFIG };
  return Object.entries(config).flatMap(([name, value]) =>
    value === defaults[name] ? [] : [`${name}=${value}`],
  );
}

/** A splat by its condition and place, or a kernel by its version. */
function kernelOf({ kind, condition, function: where, version }: Record<string, unknown>): string {
  return condition === undefined ? `kernel=${version}` : `${kind}(${condition}) in ${where}()`;
}

interface Pin {
  readonly iova: string;
  readonly devices: readonly { readonly device: string }[];
}

function pinOf({ iova, devices }: Pin): string {
  return `${iova}(${devices.map(({ device }) => device).join(' ')})`;
}

function traceOf(error: unknown): string[] {
  const { stack } = (error ?? {}) as { stack?: string };
  return stack === undefined ? [] : [`\n${stack}`];
}
