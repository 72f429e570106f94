import { expect, test } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { RECORDED_VERSIONS } from '../../src/kernel/generations/index.ts';
import { Refused } from '../../src/machine/refused.ts';
import { ScenarioRun } from '../../src/replay/run.ts';
import type { Scenario } from '../../src/replay/scenario.ts';
import { newHost } from '../harness/host.ts';
import { recordings } from '../harness/recordings.ts';
import { Random } from '../simulation/random.ts';
import { hostFrom, textOf } from './restored.ts';
import { spoil } from './spoil.ts';

/** The same unless told: how many, and which. */
const { FC_SEED = '1', FC_RUNS = '400' } = process.env;

const LONGEST = 300;
const FILES = RECORDED_VERSIONS.flatMap((version) => recordings(version))
  .map(({ scenarios }) => scenarios.filter(({ steps }) => steps.length <= LONGEST))
  .filter((scenarios) => scenarios.length > 0);

/** The snapshot of a state on the way through a scenario, and what comes after it; null where a call is under way. */
function onTheWay(scenario: Scenario, random: Random): { text: string; place: number } | null {
  const { steps, kernel } = scenario;
  const host = newHost(kernel);
  const run = new ScenarioRun(host.machine);
  const place = 1 + random.upTo(steps.length - 1);
  for (let i = 0; i < place; i++) run.take(steps[i]!, i);
  return host.machine.underway().length === 0 ? { text: textOf(host), place } : null;
}

/** Goes on with the calls of the scenario, which may be refused now, and nothing else. */
function goOn(host: Host, { steps }: Scenario, place: number): void {
  const run = new ScenarioRun(host.machine);
  for (let i = place; i < steps.length; i++) {
    try {
      run.take(steps[i]!, i);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  if (host.machine.underway().length === 0) hostFrom(textOf(host));
}

/** The host of a document; null where it is refused. */
function restored(document: unknown): Host | null {
  try {
    return hostFrom(JSON.stringify(document));
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

/** A state like any other: its snapshot is taken back, and calls are answered. */
function holds(host: Host, scenario: Scenario, place: number): void {
  const text = textOf(host);
  expect(textOf(hostFrom(text))).toBe(text);
  goOn(host, scenario, place);
}

test('a snapshot of which something was changed is refused, or is a state that goes on like any other', () => {
  console.log(`spoiled: FC_SEED=${FC_SEED} FC_RUNS=${FC_RUNS}`);
  const random = new Random(Number(FC_SEED));
  let [accepted, refused] = [0, 0];
  while (accepted + refused < Number(FC_RUNS)) {
    const scenario = random.pick(random.pick(FILES));
    const taken = onTheWay(scenario, random);
    if (!taken) continue;
    const document = JSON.parse(taken.text);
    const changes = [spoil(document, random)];
    while (random.chance(0.3)) changes.push(spoil(document, random));
    // Who panics ends its rig: nothing goes on.
    Object.assign(document.state.parameters ?? {}, { panicOnWarn: false, panicOnOops: false });
    try {
      const host = restored(document);
      if (host) holds(host, scenario, taken.place);
      if (host) accepted++;
      else refused++;
    } catch (error) {
      const where = `${scenario.kernel} ${scenario.id} before step ${taken.place}: ${changes.join(', ')}`;
      throw new Error(where, { cause: error });
    }
  }
  console.log(`spoiled: ${refused} refused, ${accepted} accepted`);
  expect(refused).toBeGreaterThan(0);
  expect(accepted).toBeGreaterThan(0);
});
