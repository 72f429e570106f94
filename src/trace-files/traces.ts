import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { UsageError } from '../arguments.ts';
import { checkLongScenario } from '../replay/check.ts';
import type { Scenario } from '../replay/scenario.ts';

/** A trace file that cannot be used; the message names it and why. */
class TraceError extends UsageError {}

/** In place of a file: what comes on stdin. */
const STDIN = '-';
/** Its descriptor: that of process.stdin would not block any more. */
const STDIN_FD = 0;

/**
 * Reads a file of traces, or stdin: one JSON scenario, or one a line; gzipped where its name ends in `.gz`.
 *
 * @throws TraceError when the file cannot be read or a line is no scenario
 */
export function readTraces(path: string): Scenario[] {
  return tracesIn(readText(path), path);
}

/**
 * The traces in the text of a file.
 *
 * @throws TraceError when a line is no scenario
 */
export function tracesIn(text: string, path: string): Scenario[] {
  const whole = parseJson(text);
  if (whole !== undefined) return [check(whole, path)];
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    const value = parseJson(line);
    if (value === undefined) throw new TraceError(`${path}:${i + 1}: not JSON`);
    return [check(value, `${path}:${i + 1}`)];
  });
}

/**
 * The text of a file, gzipped where its name ends in `.gz`, or of stdin.
 *
 * @throws TraceError when it cannot be read
 */
export function readText(path: string): string {
  try {
    const bytes = readFileSync(path === STDIN ? STDIN_FD : path);
    return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  } catch (error) {
    throw new TraceError(`${path}: ${(error as Error).message}`);
  }
}

/** A JSON value; undefined where the text is none, or several. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function check(value: unknown, where: string): Scenario {
  try {
    return checkLongScenario(value);
  } catch (error) {
    throw new TraceError(`${where}: ${(error as Error).message}`);
  }
}
