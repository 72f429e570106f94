import { RECORDED_VERSIONS } from '../../src/kernel/generations/index.ts';
import { replay } from '../../src/replay/replay.ts';
import type { Scenario } from '../../src/replay/scenario.ts';
import { newHost } from '../harness/host.ts';
import { recordings } from '../harness/recordings.ts';
import { STRAY_CALLBACKS } from '../harness/stray-callbacks.ts';
import { differences } from '../snapshot/halfway.ts';
import { expect, register } from './vitest.ts';

/** How many scenarios of a file are taken, from its beginning to its end; of as many a fourth is restored halfway too. */
const OF_A_FILE = 100;

/** Read once a process: the script is evaluated again and again. */
const process = globalThis as { recorded?: { version: string; file: string; scenarios: Scenario[] }[] };

process.recorded ??= RECORDED_VERSIONS.flatMap((version) =>
  recordings(version).map((file) => ({ version, ...file })),
);

for (const isRestored of [false, true]) {
  for (const { version, file, scenarios } of process.recorded) {
    const apart = Math.ceil(scenarios.length / OF_A_FILE) * (isRestored ? 4 : 1);
    for (const scenario of scenarios.filter((_, i) => i % apart === 0)) {
      const stray = STRAY_CALLBACKS[version]?.[scenario.id];
      register(`${version}${isRestored ? ', restored halfway' : ''}: ${file}`, scenario.id, () => {
        const found = isRestored ? differences(scenario) : replay(newHost(version).machine, scenario);
        expect(found).toEqual(stray ? [expect.objectContaining(stray)] : []);
      });
    }
  }
}
