import { expect, test } from 'vitest';
import { RECORDED_VERSIONS } from '../../src/kernel/generations/index.ts';
import { callOf, type Scenario } from '../../src/replay/scenario.ts';
import { ok, useOneRig } from '../harness/http-rig.ts';
import { recordings } from '../harness/recordings.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useOneRig();

async function batch(lines: readonly object[]): Promise<{ status: number; body: Record<string, unknown> }[]> {
  const payload = lines.map((line) => JSON.stringify(line)).join('\n');
  const headers = { 'content-type': 'application/x-ndjson' };
  const { body } = await rig.app.inject({ method: 'POST', url: '/v1/batch', payload, headers });
  return body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** The steps of a recording as lines of a batch: calls as they were made, without what was recorded of them. */
function linesOf({ steps }: Scenario): object[] {
  return steps.map(({ expect: _, ...step }) => step);
}

for (const version of RECORDED_VERSIONS) {
  const scenarios = recordings(version)
    .filter(({ file }) => file.startsWith('removal'))
    .flatMap((file) => file.scenarios);

  test.each(scenarios)(`a batch waits as long as was recorded on ${version}: $id`, async (scenario) => {
    await rig.http('POST', '/v1/reset', { kernel: version });
    const answers = await batch(linesOf(scenario));
    const seen = answers.map(({ status, body }, i) => ({
      step: i,
      call: callOf(scenario.steps[i]!),
      waits: status === 202,
      errno: body.errno ?? null,
    }));
    const recorded = scenario.steps.map(({ expect: expected, ...step }, i) => ({
      step: i,
      call: callOf(step),
      waits: expected?.pending ?? step.async !== undefined,
      errno: expected?.errno ?? null,
    }));
    expect(seen).toEqual(recorded);
  });
}

test('an await with timeoutMs leaves a call that goes on under its name, and the time has passed', async () => {
  await ok(rig.post('reset', {}));
  const answers = await batch([
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: synthetic('unpin-range', { holdCallbacks: true }) },
    { call: 'attach', container: 'c0', device: 'd0' },
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 4096, flags: 3 },
    { call: 'pin-pages', device: 'd0', iova: 0, npage: 1, prot: 3 },
    { call: 'unmap-dma', container: 'c0', iova: 0, size: 4096, async: 'u' },
    { call: 'await', of: 'u', timeoutMs: 90_000 },
    { call: 'resume-callbacks', device: 'd0' },
    { call: 'await', of: 'u', timeoutMs: 0 },
    { call: 'await', of: 'u', timeoutMs: 0 },
    { call: 'await', of: 'u', timeoutMs: -1 },
  ]);
  expect(answers.slice(5).map(({ status }) => status)).toEqual([202, 202, 200, 200, 400, 400]);
  expect(answers[6]?.body).toMatchObject({ async: 'u', invalidations: [{ device: 'd0' }] });
  expect(answers[8]?.body.size).toBe('0x1000');
  expect(answers[9]?.body.detail).toContain('await of "u", which was not started in this batch');
  expect(answers[10]?.body.detail).toContain('timeoutMs');
  const { events } = await ok(rig.get('events?kind=call'));
  const slept = (events as { call: Record<string, unknown> }[]).filter(({ call }) => call.call === 'sleep');
  expect(slept.map(({ call }) => call.milliseconds)).toEqual([60_000, 30_000]);
});
