import { STEPS_MAX, TraceSchema } from '../../schemas/scenario.ts';
import { DEFAULT_VERSION } from '../kernel/generations/index.ts';
import { checkSteps, validator } from '../machine/validate.ts';
import { atOnce } from '../turns.ts';
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
  return atOnce(longScenarioSteps(value));
}

/** The same, stopping now and then. */
export function* longScenarioSteps(value: unknown): Generator<void, Scenario> {
  const trace = value as { steps?: unknown } | null;
  const steps = trace?.steps;
  const parts = Array.isArray(steps) ? Math.ceil(steps.length / STEPS_MAX) : 1;
  for (let part = 0; part < Math.max(parts, 1); part++) {
    const at = part * STEPS_MAX;
    const isAll = parts <= 1;
    const some = isAll ? value : { ...trace, steps: (steps as unknown[]).slice(at, at + STEPS_MAX) };
    const refused = yield* checkSteps(
      TraceSchema,
      some,
      isAll ? 'scenario' : `scenario, steps from ${at} on`,
    );
    if (refused) throw refused;
  }
  return scenarioOf(value as TraceSchema);
}
