import { expect, test } from 'vitest';
import { RECORDED_VERSIONS } from '../../src/kernel/generations/index.ts';
import { replayOverHttp } from '../harness/http-replay.ts';
import { useOneRig } from '../harness/http-rig.ts';
import { recordings } from '../harness/recordings.ts';
import { STRAY_CALLBACKS } from '../harness/stray-callbacks.ts';

const rig = useOneRig();

for (const version of RECORDED_VERSIONS) {
  for (const { file, scenarios } of recordings(version)) {
    test(`HTTP answers as Linux ${version}: ${file}, ${scenarios.length} scenarios`, async () => {
      const started = performance.now();
      const failed: unknown[] = [];
      for (const scenario of scenarios) {
        await rig.http('POST', '/v1/reset', { kernel: version });
        const differences = await replayOverHttp(rig.http, scenario);
        const stray = STRAY_CALLBACKS[version]?.[scenario.id];
        if (stray) expect(differences).toEqual([expect.objectContaining(stray)]);
        else if (differences.length > 0) failed.push({ id: scenario.id, first: differences[0] });
      }
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(
        `${version} HTTP ${file}: ${scenarios.length - failed.length} of ${scenarios.length}, ${seconds} s`,
      );
      expect(failed.slice(0, 5)).toEqual([]);
    });
  }
}
