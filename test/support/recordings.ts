import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Scenario, Step } from '../../src/replay/scenario.ts';

/** Folders of a kernel's recordings, by what they end in: made on a PC, and on s390x with its drivers. */
const MACHINES = ['', '-s390x'];

const ROOT = new URL('../../conformance/', import.meta.url);

/** Every scenario recorded on one kernel version, file by file. */
export function recordings(version: string): { file: string; scenarios: Scenario[] }[] {
  return MACHINES.flatMap((machine) => {
    const folder = new URL(`linux-${version}${machine}/`, ROOT);
    return readdirSync(folder)
      .sort()
      .map((file) => {
        const bytes = readFileSync(new URL(file, folder));
        const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
        const scenarios = text.split('\n').filter(Boolean);
        return { file, scenarios: scenarios.map((line) => withoutAttach(JSON.parse(line) as Scenario)) };
      });
  });
}

/** A scenario with each `attach` as the calls it stands for; what was seen after it is the last one's. */
function withoutAttach(scenario: Scenario): Scenario {
  const withIommu = new Set<unknown>();
  const steps = scenario.steps.flatMap((step): Step[] => {
    if (step.call !== 'attach') return [step];
    const { container, device, expect } = step;
    const setIommu = withIommu.has(container) ? [] : [{ call: 'set-iommu', container, type: 'type1v2' }];
    withIommu.add(container);
    return [
      { call: 'open-group', device },
      { call: 'set-container', device, container },
      ...setIommu,
      { call: 'open-device', device, ...(expect ? { expect } : {}) },
    ];
  });
  return { ...scenario, steps };
}
