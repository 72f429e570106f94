import { expect, test } from 'vitest';
import { RECORDED_VERSIONS } from '../../src/kernel/generations/index.ts';
import { replay } from '../../src/replay/replay.ts';
import { newHost } from '../harness/host.ts';
import { recordings } from '../harness/recordings.ts';
import { STRAY_CALLBACKS } from '../harness/stray-callbacks.ts';

for (const version of RECORDED_VERSIONS) {
  for (const { file, scenarios } of recordings(version)) {
    test(`core answers as Linux ${version}: ${file}, ${scenarios.length} scenarios`, () => {
      const failed = scenarios.flatMap((scenario) => {
        const differences = replay(newHost(version).machine, scenario);
        const stray = STRAY_CALLBACKS[version]?.[scenario.id];
        if (stray) {
          expect(differences).toEqual([expect.objectContaining(stray)]);
          return [];
        }
        return differences.length > 0 ? [{ id: scenario.id, first: differences[0] }] : [];
      });
      console.log(`${version} core ${file}: ${scenarios.length - failed.length} of ${scenarios.length}`);
      expect(failed.slice(0, 5)).toEqual([]);
    });
  }
}
