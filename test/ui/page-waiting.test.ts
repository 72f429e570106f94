import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { ASYNC, ok } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { isInWindow, PATIENCE, says, usePage } from './page.ts';

const at = usePage();

test('an unmap whose callback is held shows its round and the attempt, then that it is done', async () => {
  await at.rig.container(synthetic('unpin-one', { holdCallbacks: true }));
  await at.rig.map('0x10000', '0x4000');
  for (const iova of ['0x10000', '0x11000', '0x12000']) await at.rig.pin(iova);
  await at.open();
  await at.strip('c0').waitFor();
  await ok(at.rig.unmap('0x10000', '0x4000', ASYNC));
  const round = at.card('c0').locator('.round');
  await says(round, /unmap-dma 0x10000\+0x4000.*attempt 1 of 11.*d0 is called back/s);
  await says(round, /for \d+ s/);
  await ok(at.rig.post('devices/d0/resume-callbacks'));
  await says(round, /attempt 3 of 11.*done/s);
  expect(await round.getByRole('meter').getAttribute('aria-valuenow')).toBe('3');
  await says(at.card('c0'), 'Nothing is mapped.');
});

test('a BUG_ON: the log has it, the round is at its end, and the container is wedged beyond doubt', async () => {
  await at.rig.container(synthetic('ignore'));
  await at.open();
  await at.rig.bug();
  await says(at.card('c0').getByRole('alert'), /held for ever: BUG_ON\(\+\+retries > 10\)/);
  await at.card('c0').getByText('WEDGED', { exact: true }).waitFor();
  await says(at.card('c0').locator('.round.fatal'), /attempt 11 of 11.*BUG_ON/s);
  await says(at.log().and(at.page.locator('[data-kind=splat]')), /BUG_ON.*c0/s);
  await says(at.log().and(at.page.locator('[data-kind=advisory]')), 'IGNORED_INVALIDATION');
  await says(at.page.locator('#taint'), 'tainted D');
  expect(await at.page.locator('#taint').getAttribute('title')).toMatch(/D: .*BUG/);
  expect(await at.card('c0').locator('abbr', { hasText: 'left' }).getAttribute('title')).toMatch(
    /dma_entry_limit/,
  );
  await says(at.page.locator('#wedged'), '1 WEDGED');
  expect(await at.page.title()).toContain('1 wedged');
});

test('a held unmap far below is announced, with its time, and a click goes there', async () => {
  const { host } = at.rig.service.rigs.use('default');
  const call = (one: Record<string, unknown>) => host.start(one as CallObject);
  for (let i = 0; i < 30; i++) await ok(at.rig.post('containers', { container: `c${i}` }));
  const driver = synthetic('unpin-range', { holdCallbacks: true });
  call({ call: 'create-device', device: 'd0', driver });
  await ok(at.rig.post('containers/c28/attach', { device: 'd0' }));
  await at.rig.map('0x10000', '0x4000', { container: 'c28' });
  await at.rig.pin('0x10000');
  call({ call: 'unmap-dma', container: 'c28', iova: '0x10000', size: '0x4000' });
  // Whatever has left the journal, the server still knows what waits.
  for (let i = 0; i < 6000; i++) call({ call: 'check-extension', container: 'c0', extension: 1 });
  await at.open();
  const badge = at.page.locator('#pending');
  await says(badge, /1 PENDING \d+ s/);
  expect(await badge.getAttribute('title')).toBe('unmap-dma of c28 has not returned');
  await says(at.page.getByRole('status'), 'unmap-dma of c28 has not returned');
  expect(await at.page.title()).toContain('1 pending');
  expect(await at.card('c28').evaluate(isInWindow)).toBe(false);
  await at.page.locator('#container').selectOption('c3');
  await badge.click();
  await says(at.card('c28').locator('.round'), /unmap-dma 0x10000\+0x4000.*attempt 1 of 11.*for \d+ s/s);
  await expect.poll(() => at.card('c28').evaluate(isInWindow), PATIENCE).toBe(true);
  const before = await badge.textContent();
  await expect.poll(() => badge.textContent(), PATIENCE).not.toBe(before);
  await ok(at.rig.post('devices/d0/resume-callbacks'));
  await badge.waitFor({ state: 'hidden' });
});

test('a call that waits for a lock has a row, until it returns', async () => {
  // Its first callback unpins nothing: it could not while the other call waits for the list of devices.
  await at.rig.container(synthetic('unpin-range', { holdCallbacks: true, ignoreFirst: 1 }));
  await at.rig.create('d1', synthetic('unpin-range'));
  await at.rig.map('0x10000', '0x4000');
  await at.rig.pin('0x10000');
  await ok(at.rig.unmap('0x10000', '0x4000', ASYNC));
  await ok(at.rig.post('devices/d1/open-device', {}, ASYNC));
  await at.open();
  await says(at.card('c0').locator('.round'), /open-device.*waits/s);
  await says(at.page.locator('#pending'), '2 PENDING');
  await ok(at.rig.post('devices/d0/resume-callbacks'));
  await at.card('c0').locator('.round', { hasText: 'open-device' }).waitFor({ state: 'detached' });
  await says(at.card('c0').locator('.round'), /unmap-dma.*done/s);
});

test('a wedged container that was never in sight is counted, and a click goes there', async () => {
  for (let i = 0; i < 30; i++) await ok(at.rig.post('containers', { container: `b${i}` }));
  await at.rig.container(synthetic('ignore'));
  await at.rig.bug();
  await at.open();
  await says(at.page.locator('#wedged'), '1 WEDGED');
  expect(await at.card('c0').evaluate(isInWindow)).toBe(false);
  await at.page.locator('#wedged').click();
  await expect.poll(() => at.card('c0').evaluate(isInWindow), PATIENCE).toBe(true);
  await says(at.card('c0').getByRole('alert'), 'held for ever');
});
