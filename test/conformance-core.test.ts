import { expect, test } from 'vitest';
import { replay } from '../src/replay/replay.ts';
import { newHost } from './support/host.ts';
import { recordings } from './support/recordings.ts';
import { STRAY_CALLBACKS } from './support/stray-callbacks.ts';

for (const version of ['6.1']) {
  for (const { file, scenarios } of recordings(version)) {
    test(`core answers as Linux ${version}: ${file}, ${scenarios.length} scenarios`, () => {
      const failed = scenarios.flatMap((scenario) => {
        const differences = replay(newHost(), scenario);
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
