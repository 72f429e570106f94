import { STEPS_MAX, TraceSchema } from '../../schemas/scenario.ts';
import { DEFAULT_VERSION } from '../kernel/generations/index.ts';
import { validator } from '../machine/validate.ts';
import type { Scenario, Step } from './scenario.ts';

const check = validator(TraceSchema);

/** A checked trace with its defaults: it is called `trace` and meant for the default kernel unless it says otherwise. */
export function scenarioOf(value: TraceSchema, kernel: string = DEFAULT_VERSION): Scenario {
  const trace = 'scenario' in value ? value.scenario : value;
  return { id: trace.id ?? 'trace', kernel: trace.kernel ?? kernel, steps: trace.steps as Step[] };
}

/**
 * Checks what claims to be a trace.
 *
 * @throws Refused that names the value and the rule
 */
export function checkScenario(value: unknown): Scenario {
  check(value, 'scenario');
  return scenarioOf(value as TraceSchema);
}

/**
 * Checks a trace of any length: one of a file, which is nobody's request.
 *
 * @throws Refused that names the value and the rule; a step by its place among those it was checked with
 */
export function checkLongScenario(value: unknown): Scenario {
  const trace = value as { steps?: unknown } | null;
  const steps = trace?.steps;
  if (!Array.isArray(steps) || steps.length <= STEPS_MAX) return checkScenario(value);
  for (let at = 0; at < steps.length; at += STEPS_MAX) {
    check({ ...trace, steps: steps.slice(at, at + STEPS_MAX) }, `scenario, steps from ${at} on`);
  }
  return scenarioOf(value as TraceSchema);
}
