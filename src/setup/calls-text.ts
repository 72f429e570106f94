import { parseLine } from '../machine/validate.ts';
import { checkLongScenario } from '../replay/check.ts';
import type { Step } from '../replay/scenario.ts';

/**
 * The calls of a batch, one a line, as the steps of a trace.
 *
 * @throws Refused for a line that is none
 */
export function stepsOf(text: string): Step[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return checkLongScenario({ steps: lines.map(parseLine) }).steps;
}
