import { JsonError } from '../json/depth.ts';
import { parseSteps } from '../json/parse.ts';
import { Refused } from '../machine/refused.ts';
import { parseLine } from '../machine/validate.ts';
import { type Line, LongLine } from './lines.ts';

/**
 * The value of a line of NDJSON, stopping now and then where it is long.
 *
 * @throws Refused where it is not JSON
 */
export function* lineValue(line: Line): Generator<void, unknown> {
  if (!(line instanceof LongLine)) return parseLine(line);
  try {
    return yield* parseSteps(line.parts);
  } catch (error) {
    throw Refused.badRequest(`the line ${error instanceof JsonError ? error.message : 'is not JSON'}`);
  }
}
