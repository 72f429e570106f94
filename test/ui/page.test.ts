import { expect, test } from 'vitest';
import { ok } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { says, usePage } from './page.ts';

const at = usePage();

/** What the functions below find in the browser they run in. */
declare function getComputedStyle(element: unknown): { backgroundColor: string };
interface Canvas {
  width: number;
  height: number;
  getContext(kind: '2d'): {
    getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray };
  };
}

/** The colours on a canvas, as a style sheet says them. Runs in the at.page. */
function paintedColours(element: unknown): string[] {
  const canvas = element as Canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set<string>();
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] === 255) colours.add(`rgb(${data[i]}, ${data[i + 1]}, ${data[i + 2]})`);
  }
  return [...colours];
}

const cardNames = () =>
  at.page
    .locator('#containers > article')
    .evaluateAll((all: unknown[]) =>
      all.map((one) => (one as { dataset: { container: string } }).dataset.container),
    );

test('containers appear as they are made, without a reload', async () => {
  await at.open();
  await says(at.page.locator('#none'), 'no containers');
  await ok(at.rig.post('containers', { container: 'c7' }));
  await says(at.card('c7'), 'no IOVA space before set-iommu');
  await ok(at.rig.del('containers/c7'));
  await at.card('c7').waitFor({ state: 'detached' });
});

test('cards stand in the order of their names, whatever the order in which they were made', async () => {
  await at.open();
  for (const container of ['c2', 'c30', 'c10', 'a', 'c1', 'c3']) {
    await ok(at.rig.post('containers', { container }));
    await at.card(container).waitFor();
  }
  expect(await cardNames()).toEqual(['a', 'c1', 'c2', 'c3', 'c10', 'c30']);
  await at.page.reload();
  await at.card('c30').waitFor();
  expect(await cardNames()).toEqual(['a', 'c1', 'c2', 'c3', 'c10', 'c30']);
});

test('a container that is named by the host appears as well', async () => {
  await at.open();
  await ok(at.rig.post('containers'));
  await at.card('c0').waitFor();
});

test('a mapping’s details by pointer, exact to 64 bits', async () => {
  await at.rig.container(synthetic('unpin-range'));
  const body = { iova: '0xfff0000000001000', vaddr: '0x20000000003000', size: '0x3000', flags: ['read'] };
  await ok(at.rig.post('containers/c0/map-dma', body));
  await at.open();
  await at.strip('c0').waitFor();
  await at.strip('c0').hover({ position: { x: 20, y: 20 } });
  await says(at.readout('c0'), '0xfff0000000001000 – 0xfff0000000003fff');
  const text = await at.readout('c0').innerText();
  for (const part of ['0x3000 · 12 KiB', '0x20000000003000', 'read', 'none']) expect(text).toContain(part);
  expect(text).not.toContain('write');
});

test('the same by keyboard, and as a table', async () => {
  await at.rig.container(synthetic('unpin-range'));
  for (const iova of ['0x1000', '0x8000', '0x40000000']) await at.rig.map(iova, '0x1000');
  await at.rig.pin('0x40000000');
  await at.open();
  await at.strip('c0').focus();
  await says(at.readout('c0'), '0x1000 – 0x1fff');
  await at.page.keyboard.press('ArrowRight');
  await says(at.readout('c0'), '0x8000 – 0x8fff');
  await at.page.keyboard.press('p');
  await says(at.readout('c0'), '0x40000000 – 0x40000fff');
  await at.page.keyboard.press('Home');
  await says(at.readout('c0'), '0x1000 – 0x1fff');
  await at.card('c0').locator('summary').click();
  const rows = at.card('c0').locator('tbody tr');
  await says(rows, '0x40000000');
  expect(await rows.allInnerTexts()).toEqual([
    '0x1000\t0x1fff\t0x1000 (4 KiB)\t0x1000\tread write\t',
    '0x8000\t0x8fff\t0x1000 (4 KiB)\t0x8000\tread write\t',
    '0x40000000\t0x40000fff\t0x1000 (4 KiB)\t0x40000000\tread write\td0 1',
  ]);
});

test('pins are drawn in the colour of the device that holds them, and named', async () => {
  await at.rig.container(synthetic('unpin-range'));
  await at.rig.create('d1', synthetic('unpin-range'));
  await ok(at.rig.post('devices/d1/open-device'));
  await at.rig.map('0x10000', '0x10000');
  await at.open();
  await says(at.card('c0').locator('.legend'), 'd1no pins');
  await at.rig.pin('0x10000', 'd0');
  await at.rig.pin('0x1c000', 'd1');
  await says(at.card('c0').locator('.legend [data-device=d0]'), '1 pin');
  await says(at.card('c0').locator('.legend [data-device=d1]'), '1 pin');
  for (const device of ['d0', 'd1']) {
    const swatch = at.card('c0').locator(`.legend [data-device=${device}] .swatch`);
    const colour = await swatch.evaluate((element) => getComputedStyle(element).backgroundColor);
    const painted = await at.strip('c0').evaluate(paintedColours);
    expect(painted, device).toContain(colour);
  }
  await at.strip('c0').focus();
  await says(at.readout('c0'), '0x10000 d0 · 0x1c000 d1');
});

test('a reset empties the page and it goes on', async () => {
  await at.rig.container(synthetic('ignore'));
  await at.rig.bug();
  await at.open();
  await says(at.log(), 'BUG_ON');
  await ok(at.rig.post('reset'));
  await says(at.page.locator('#none'), 'no containers');
  await says(at.log(), 'reset');
  expect(await at.page.locator('#wedged').isVisible()).toBe(false);
  expect(await at.log().filter({ hasText: 'BUG_ON' }).count()).toBe(0);
  await ok(at.rig.post('containers', { container: 'c1' }));
  await at.card('c1').waitFor();
});

test('the filter: text, kind, container, device, address', async () => {
  await at.rig.container(synthetic('ignore'));
  await ok(at.rig.post('containers', { container: 'c1' }));
  await at.rig.create('d1', synthetic('unpin-range'), { container: 'c1', type: 'type1v2' });
  await ok(at.rig.post('devices/d1/open-device'));
  await at.rig.map('0x50000', '0x1000', { container: 'c1' });
  await at.rig.map('0x90000', '0x1000', { container: 'c1' });
  await ok(at.rig.post('devices/d1/unpin-pages', { iova: '0x50000', npage: 1 }));
  await at.rig.bug();
  await at.open();
  await at.strip('c0').waitFor();
  await at.strip('c1').waitFor();
  await says(at.log(), 'UNPIN_NOT_PINNED');
  await says(at.log(), 'BUG_ON');

  await at.page.locator('#text').fill('bug_on');
  await at.log().filter({ hasText: 'UNPIN_NOT_PINNED' }).waitFor({ state: 'detached' });
  expect(await at.log().count()).toBe(1);
  await at.page.locator('#text').fill('0x90000');
  await says(at.readout('c1'), '0x90000 – 0x90fff');
  await at.page.locator('#text').fill('');

  await at.page.getByLabel('splats', { exact: true }).uncheck();
  await at.log().filter({ hasText: 'BUG_ON' }).waitFor({ state: 'detached' });
  await at.page.getByLabel('calls', { exact: true }).check();
  await says(at.log().and(at.page.locator('[data-kind=call]')), /map-dma.*c1.*ok.*iova=0x50000/s);
  await at.page.getByLabel('splats', { exact: true }).check();
  await at.page.getByLabel('calls', { exact: true }).uncheck();

  await at.page.locator('#container').selectOption('c1');
  await at.card('c0').waitFor({ state: 'hidden' });
  expect(await at.card('c1').isVisible()).toBe(true);
  expect(await at.log().filter({ hasText: 'BUG_ON' }).count()).toBe(0);
  await at.page.locator('#container').selectOption('');

  await at.page.locator('#device').selectOption('d0');
  await at.card('c1').waitFor({ state: 'hidden' });
  await says(at.log(), 'IGNORED_INVALIDATION');
  expect(await at.log().filter({ hasText: 'UNPIN_NOT_PINNED' }).count()).toBe(0);
});

test('devices that are in no container are shown, and those that nobody has open', async () => {
  await at.rig.container(synthetic('ignore'));
  await ok(at.rig.post('devices', { device: 'spare', driver: { type: 'vfio-ap' } }));
  await at.open();
  const loose = at.page.locator('#loose');
  await says(loose, /spare.*vfio-ap · g1/);
  expect(await loose.locator('li').count()).toBe(1);
  await ok(at.rig.post('devices/spare/open-group'));
  await says(loose, 'g1 open');
  await ok(at.rig.post('devices/spare/set-container', { container: 'c0' }));
  await loose.waitFor({ state: 'hidden' });
  await says(at.card('c0').locator('.legend [data-device=spare]'), 'not open');
});
