import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Scenario } from '../../src/replay/scenario.ts';

/** Folders of a kernel's recordings, by what they end in: made on a PC, and on s390x with its drivers. */
const MACHINES = ['', '-s390x'];

const ROOT = new URL('../../conformance/', import.meta.url);

/** Every scenario recorded on one kernel version, file by file. */
export function recordings(version: string): { file: string; scenarios: Scenario[] }[] {
  return MACHINES.flatMap((machine) => {
    const folder = new URL(`linux-${version}${machine}/`, ROOT);
    // Not every kernel was recorded on every machine; on a PC each was.
    if (machine !== '' && !existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((file) => /\.jsonl(\.gz)?$/.test(file))
      .sort()
      .map((file) => {
        const bytes = readFileSync(new URL(file, folder));
        const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
        const scenarios = text.split('\n').filter(Boolean);
        return { file, scenarios: scenarios.map((line) => JSON.parse(line) as Scenario) };
      });
  });
}
