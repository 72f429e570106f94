import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { ok } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { PATIENCE, paste, says, usePage } from './page.ts';

const at = usePage();

test('another rig is chosen in the page or by the address, and only it is shown', async () => {
  const other = { 'x-rig': 'night-2' };
  await ok(at.rig.post('containers', { container: 'mine' }));
  await ok(at.rig.post('containers', { container: 'theirs' }, other));
  await at.open();
  await at.card('mine').waitFor();
  await at.page.locator('#rig').selectOption('night-2');
  await at.card('theirs').waitFor();
  expect(await at.card('mine').count()).toBe(0);
  expect(at.page.url()).toMatch(/#rig=night-2$/);
  await ok(at.rig.post('containers', { container: 'theirs-2' }, other));
  await at.card('theirs-2').waitFor();
  await ok(at.rig.del('rigs/night-2'));
  await says(at.page.locator('#state[data-state=gone]'), 'no such rig');
  const { rigs } = await ok(at.rig.get('rigs'));
  expect(rigs.map((one: { rig: string }) => one.rig)).toEqual(['default']);
  await ok(at.rig.post('containers', { container: 'again' }, other));
  await at.page.locator('#rig').focus();
  await at.card('again').waitFor();
});

test('a rig that is deleted while the page asks about it is no error', async () => {
  const other = { 'x-rig': 'night-2' };
  for (let i = 0; i < 40; i++) await ok(at.rig.post('containers', { container: `c${i}` }, other));
  await at.open('#rig=night-2');
  // Each answer is held back until the rig is gone, so that every question is under way by then.
  let letGo = () => {};
  const gone = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let held = 0;
  await at.page.route('**/ui/**', async (route) => {
    held++;
    await gone;
    await route.continue();
  });
  for (let i = 0; i < 3; i++) await at.rig.post(`containers/c${i}/set-iommu`, { type: 1 }, other);
  await ok(at.rig.post('containers', {}, other));
  await expect.poll(() => held, PATIENCE).toBeGreaterThan(1);
  await ok(at.rig.del('rigs/night-2'));
  letGo();
  await says(at.page.locator('#state[data-state=gone]'), 'no such rig');
  expect((await ok(at.rig.get('rigs'))).rigs).toEqual([]);
});

test.each(['?rig=night-2', '#rig=night-2'])(
  '/%s shows that rig, and keeps to one form of the address',
  async (address) => {
    await ok(at.rig.post('containers', { container: 'theirs' }, { 'x-rig': 'night-2' }));
    await at.open(address);
    await at.card('theirs').waitFor();
    expect(at.page.url()).toMatch(/\/#rig=night-2$/);
    await at.page.locator('#rig').selectOption('default');
    await says(at.page.locator('#none'), 'no containers');
  },
);

test('/?rig=absent says that there is none, and makes none', async () => {
  await at.page.goto(`${at.origin}/?rig=absent`);
  await says(at.page.locator('#state[data-state=gone]'), 'no such rig');
  expect((await ok(at.rig.get('rigs'))).rigs).toEqual([]);
});

test('the menu says how the other rigs are', async () => {
  const other = { 'x-rig': 'night-2' };
  const call = (one: object) => at.rig.service.rigs.use('night-2').host.start(one as CallObject);
  await ok(at.rig.post('containers', { container: 'c0' }, other));
  call({ call: 'create-device', device: 'd0', driver: synthetic('ignore') });
  await ok(at.rig.post('containers/c0/attach', { device: 'd0' }, other));
  call({ call: 'map-dma', container: 'c0', iova: '0x0', vaddr: '0x0', size: '0x1000', flags: ['read'] });
  call({ call: 'pin-pages', device: 'd0', iova: '0x0', npage: 1, prot: ['read'] });
  call({ call: 'unmap-dma', container: 'c0', iova: '0x0', size: '0x1000' });
  await at.open();
  await at.page.locator('#rig').focus();
  await says(at.page.locator('#rig'), 'night-2 — Linux 6.1, 1 container, 1 WEDGED, tainted D');
});

test('a fresh server shows two commands, and they do what is said', async () => {
  await at.open();
  const commands = at.page.locator('#first pre');
  await commands.nth(1).waitFor();
  expect(await commands.count()).toBe(2);
  const [begin, unmap] = (await commands.allTextContents()) as [string, string];
  await paste(begin);
  await says(at.card('c0').locator('.legend'), 'd01 pin');
  expect(await commands.count()).toBe(0);
  await paste(unmap);
  await at.card('c0').getByText('WEDGED', { exact: true }).waitFor();
});

test('links within the page leave the rig in the address', async () => {
  await ok(at.rig.post('containers', { container: 'theirs' }, { 'x-rig': 'night-2' }));
  await at.open('#rig=night-2');
  await at.page.locator('article[data-container=theirs][data-seq]').waitFor();
  await at.page.locator('.skip').focus();
  await at.page.keyboard.press('Enter');
  expect(await at.page.evaluate('document.activeElement.id')).toBe('containers');
  expect(at.page.url()).toMatch(/#rig=night-2$/);
  await at.card('theirs').waitFor();
});
