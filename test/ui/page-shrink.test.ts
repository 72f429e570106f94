import { expect, test } from 'vitest';
import { ok } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { says, usePage } from './page.ts';

const at = usePage();

test('beside a BUG_ON is a button: the shortest trace that comes to it, on the page', async () => {
  await at.rig.container(synthetic('ignore'));
  for (let i = 1; i < 4; i++) await ok(at.rig.post('containers', { container: `c${i}` }));
  await at.open();
  await at.rig.bug();
  const entry = at.log().and(at.page.locator('[data-kind=splat]'));
  await entry.getByRole('button', { name: 'the fewest calls that still come to the BUG_ON' }).click();
  await says(entry, /BUG_ON:B1: \d+ of \d+ calls/);
  const calls = await entry.locator('pre').innerText();
  const steps = calls.split('\n').map((line) => JSON.parse(line) as { call: string; container?: string });
  expect(steps.at(-1)!.call).toBe('unmap-dma');
  expect(steps.map(({ container }) => container)).not.toContain('c1');
});
