import { TraceSchema } from '../../schemas/scenario.ts';
import { validator } from '../machine/validate.ts';
import type { Scenario, Step } from './scenario.ts';

const check = validator(TraceSchema);

/** Kernel of a trace that names none. */
const DEFAULT_KERNEL = '6.1';

/** A checked trace with its defaults: it is called `trace` and meant for 6.1 unless it says otherwise. */
export function scenarioOf(value: TraceSchema, kernel: string = DEFAULT_KERNEL): Scenario {
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
