import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checkScenario } from '../../src/replay/check.ts';
import { replay } from '../../src/replay/replay.ts';
import { newHost } from '../harness/host.ts';

const FOLDER = new URL('real/', import.meta.url);
const TRACES = readdirSync(FOLDER).filter((file) => file.endsWith('.json'));

test('there are recordings of real kernels', () => {
  expect(TRACES.length).toBeGreaterThan(3);
});

test.each(TRACES)('%s, recorded on a real kernel, replays alike', (file) => {
  const trace = checkScenario(JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')));
  expect(trace.steps.length).toBeGreaterThan(25);
  expect(replay(newHost(trace.kernel).machine, trace)).toEqual([]);
});
