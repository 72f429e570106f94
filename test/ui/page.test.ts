import type { Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import {
  ASYNC,
  containerWith,
  hitBug,
  map,
  mdevIn,
  ok,
  pin,
  type Rig,
  startRig,
  synthetic,
  unmap,
} from '../http/rig.ts';
import { type Browser, startBrowser, whyNoBrowser } from './browser.ts';

const missing = whyNoBrowser();
/** Longest the page may take to show 65,535 mappings and to answer a key then, milliseconds. */
const LOAD_MAX_MS = 10_000;
const KEY_MAX_MS = 1000;

let browser: Browser | null = null;
let rig: Rig;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  if (missing === null) browser = await startBrowser();
  else console.warn(`the page is not tested: ${missing}`);
});
afterAll(() => browser?.close());

beforeEach(async ({ skip }) => {
  skip(missing !== null, missing ?? '');
  rig = await startRig();
  await rig.app.listen({ host: '127.0.0.1', port: 0 });
  page = await browser!.context.newPage();
  complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
});
afterEach(async () => {
  if (missing !== null) return;
  await page.close();
  await rig.app.close();
  expect(complaints, 'the browser complained').toEqual([]);
});

const card = (container: string) => page.locator(`article[data-container="${container}"]`);
const strip = (container: string) => card(container).locator('canvas[data-painted]');
const readout = (container: string) => card(container).locator('.readout');
const log = () => page.locator('#log li');

async function open(hash = ''): Promise<void> {
  const { port } = rig.app.server.address() as { port: number };
  await page.goto(`http://127.0.0.1:${port}/${hash}`);
  await page.locator('#state[data-state="live"]').waitFor();
}

/** Waits until an element says something. */
async function says(where: Locator, text: string | RegExp): Promise<void> {
  await where.filter({ hasText: text }).first().waitFor();
}

/** What the functions below find in the browser they run in. */
declare function getComputedStyle(element: unknown): { backgroundColor: string };
interface Canvas {
  width: number;
  height: number;
  getContext(kind: '2d'): {
    getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray };
  };
}

/** What a control is called. Runs in the page. */
function nameOf(element: unknown): string {
  const { ariaLabel, labels, textContent } = element as {
    ariaLabel: string | null;
    labels?: { textContent: string }[];
    textContent: string;
  };
  return ariaLabel ?? labels?.[0]?.textContent ?? textContent;
}

/** The colours on a canvas, as a style sheet says them. Runs in the page. */
function paintedColours(element: unknown): string[] {
  const canvas = element as Canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set<string>();
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] === 255) colours.add(`rgb(${data[i]}, ${data[i + 1]}, ${data[i + 2]})`);
  }
  return [...colours];
}

test('containers appear as they are made, without a reload', async () => {
  await open();
  await says(page.locator('#none'), 'no containers');
  await ok(rig.post('containers', { container: 'c7' }));
  await says(card('c7'), 'no IOVA space before set-iommu');
  await ok(rig.del('containers/c7'));
  await card('c7').waitFor({ state: 'detached' });
});

test('a container that is named by the host appears as well', async () => {
  await open();
  await ok(rig.post('containers'));
  await card('c0').waitFor();
});

test('a mapping’s details by pointer, exact to 64 bits', async () => {
  await containerWith(rig, synthetic('unpin-range'));
  const body = { iova: '0xfff0000000001000', vaddr: '0x20000000003000', size: '0x3000', flags: ['read'] };
  await ok(rig.post('containers/c0/map-dma', body));
  await open();
  await strip('c0').waitFor();
  await strip('c0').hover({ position: { x: 20, y: 20 } });
  await says(readout('c0'), '0xfff0000000001000 – 0xfff0000000003fff');
  const text = await readout('c0').innerText();
  for (const part of ['0x3000 · 12 KiB', '0x20000000003000', 'read', 'none']) expect(text).toContain(part);
  expect(text).not.toContain('write');
});

test('the same by keyboard, and as a table', async () => {
  await containerWith(rig, synthetic('unpin-range'));
  for (const iova of ['0x1000', '0x8000', '0x40000000']) await ok(map(rig, iova, '0x1000'));
  await ok(pin(rig, '0x40000000'));
  await open();
  await strip('c0').focus();
  await says(readout('c0'), '0x1000 – 0x1fff');
  await page.keyboard.press('ArrowRight');
  await says(readout('c0'), '0x8000 – 0x8fff');
  await page.keyboard.press('p');
  await says(readout('c0'), '0x40000000 – 0x40000fff');
  await page.keyboard.press('Home');
  await says(readout('c0'), '0x1000 – 0x1fff');
  await card('c0').locator('summary').click();
  const rows = card('c0').locator('tbody tr');
  await says(rows, '0x40000000');
  expect(await rows.allInnerTexts()).toEqual([
    '0x1000\t0x1fff\t0x1000 (4 KiB)\t0x1000\tread write\t',
    '0x8000\t0x8fff\t0x1000 (4 KiB)\t0x8000\tread write\t',
    '0x40000000\t0x40000fff\t0x1000 (4 KiB)\t0x40000000\tread write\td0 1',
  ]);
});

test('pins are drawn in the colour of the device that holds them, and named', async () => {
  await containerWith(rig, synthetic('unpin-range'));
  await mdevIn(rig, 'c0', 'd1', synthetic('unpin-range'));
  await ok(rig.post('devices/d1/open-device'));
  await ok(map(rig, '0x10000', '0x10000'));
  await open();
  await says(card('c0').locator('.legend'), 'd1no pins');
  await ok(pin(rig, '0x10000', 'd0'));
  await ok(pin(rig, '0x1c000', 'd1'));
  await says(card('c0').locator('.legend [data-device=d0]'), '1 pin');
  await says(card('c0').locator('.legend [data-device=d1]'), '1 pin');
  for (const device of ['d0', 'd1']) {
    const swatch = card('c0').locator(`.legend [data-device=${device}] .swatch`);
    const colour = await swatch.evaluate((element) => getComputedStyle(element).backgroundColor);
    const painted = await strip('c0').evaluate(paintedColours);
    expect(painted, device).toContain(colour);
  }
  await strip('c0').focus();
  await says(readout('c0'), '0x10000 d0 · 0x1c000 d1');
});

test('an unmap whose callback is held shows its round and the attempt, then that it is done', async () => {
  await containerWith(rig, synthetic('unpin-one', { holdCallbacks: true }));
  await ok(map(rig, '0x10000', '0x4000'));
  for (const iova of ['0x10000', '0x11000', '0x12000']) await ok(pin(rig, iova));
  await open();
  await strip('c0').waitFor();
  await ok(unmap(rig, '0x10000', '0x4000', ASYNC));
  const round = card('c0').locator('.round');
  await says(round, /unmap-dma 0x10000\+0x4000.*attempt 1 of 11.*d0 is called back/s);
  await ok(rig.post('devices/d0/resume-callbacks'));
  await says(round, /attempt 3 of 11.*done/s);
  expect(await round.getByRole('meter').getAttribute('aria-valuenow')).toBe('3');
  await says(card('c0'), 'Nothing is mapped.');
});

test('a BUG_ON: the log has it, the round is at its end, and the container is wedged beyond doubt', async () => {
  await containerWith(rig, synthetic('ignore'));
  await open();
  await hitBug(rig);
  await says(card('c0').getByRole('alert'), /held for ever: BUG_ON\(\+\+retries > 10\)/);
  await card('c0').getByText('WEDGED', { exact: true }).waitFor();
  await says(card('c0').locator('.round.fatal'), /attempt 11 of 11.*BUG_ON/s);
  await says(log().and(page.locator('[data-kind=splat]')), /BUG_ON.*c0/s);
  await says(log().and(page.locator('[data-kind=advisory]')), 'IGNORED_INVALIDATION');
  await says(page.locator('#taint'), 'tainted D');
  await says(page.locator('#wedged'), '1 WEDGED');
  expect(await page.title()).toContain('1 wedged');
});

test('a reset empties the page and it goes on', async () => {
  await containerWith(rig, synthetic('ignore'));
  await hitBug(rig);
  await open();
  await says(log(), 'BUG_ON');
  await ok(rig.post('reset'));
  await says(page.locator('#none'), 'no containers');
  await says(log(), 'reset');
  expect(await log().filter({ hasText: 'BUG_ON' }).count()).toBe(0);
  await ok(rig.post('containers', { container: 'c1' }));
  await card('c1').waitFor();
});

test('the filter: text, kind, container, device, address', async () => {
  await containerWith(rig, synthetic('ignore'));
  await ok(rig.post('containers', { container: 'c1' }));
  await mdevIn(rig, 'c1', 'd1', synthetic('unpin-range'), 'type1v2');
  await ok(rig.post('devices/d1/open-device'));
  await ok(map(rig, '0x50000', '0x1000', 'c1'));
  await ok(map(rig, '0x90000', '0x1000', 'c1'));
  await ok(rig.post('devices/d1/unpin-pages', { iova: '0x50000', npage: 1 }));
  await hitBug(rig);
  await open();
  await strip('c0').waitFor();
  await strip('c1').waitFor();
  await says(log(), 'UNPIN_NOT_PINNED');
  await says(log(), 'BUG_ON');

  await page.locator('#text').fill('bug_on');
  await log().filter({ hasText: 'UNPIN_NOT_PINNED' }).waitFor({ state: 'detached' });
  expect(await log().count()).toBe(1);
  await page.locator('#text').fill('0x90000');
  await says(readout('c1'), '0x90000 – 0x90fff');
  await page.locator('#text').fill('');

  await page.getByLabel('splats').uncheck();
  await log().filter({ hasText: 'BUG_ON' }).waitFor({ state: 'detached' });
  await page.getByLabel('calls').check();
  await says(log().and(page.locator('[data-kind=call]')), /map-dma.*c1.*ok.*iova=0x50000/s);
  await page.getByLabel('splats').check();
  await page.getByLabel('calls').uncheck();

  await page.locator('#container').selectOption('c1');
  await card('c0').waitFor({ state: 'hidden' });
  expect(await card('c1').isVisible()).toBe(true);
  expect(await log().filter({ hasText: 'BUG_ON' }).count()).toBe(0);
  await page.locator('#container').selectOption('');

  await page.locator('#device').selectOption('d0');
  await card('c1').waitFor({ state: 'hidden' });
  await says(log(), 'IGNORED_INVALIDATION');
  expect(await log().filter({ hasText: 'UNPIN_NOT_PINNED' }).count()).toBe(0);
});

test('another rig is chosen in the page or by the address, and only it is shown', async () => {
  const other = { 'x-rig': 'night-2' };
  await ok(rig.post('containers', { container: 'mine' }));
  await ok(rig.post('containers', { container: 'theirs' }, other));
  await open();
  await card('mine').waitFor();
  await page.locator('#rig').selectOption('night-2');
  await card('theirs').waitFor();
  expect(await card('mine').count()).toBe(0);
  expect(page.url()).toMatch(/#rig=night-2$/);
  await ok(rig.post('containers', { container: 'theirs-2' }, other));
  await card('theirs-2').waitFor();
  await ok(rig.del('rigs/night-2'));
  await says(page.locator('#state[data-state=gone]'), 'no such rig');
  const { rigs } = await ok(rig.get('rigs'));
  expect(rigs.map((one: { rig: string }) => one.rig)).toEqual(['default']);
});

test('every control is reached by keyboard and has a name', async () => {
  await containerWith(rig, synthetic('ignore'));
  await ok(map(rig, '0x10000', '0x1000'));
  await open();
  await strip('c0').waitFor();
  const reached = new Set<string>();
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate('document.activeElement.tagName'));
  }
  expect([...reached]).toEqual(
    expect.arrayContaining(['A', 'SELECT', 'INPUT', 'BUTTON', 'CANVAS', 'SUMMARY', 'OL']),
  );
  for (const control of await page.locator('button:visible, select, input, canvas:visible').all()) {
    expect(await control.evaluate(nameOf)).toMatch(/\S/);
  }
});

test('nothing sticks out of a narrow window', async () => {
  await containerWith(rig, synthetic('ignore'));
  await hitBug(rig);
  await page.setViewportSize({ width: 360, height: 740 });
  await open();
  await strip('c0').waitFor();
  await says(log(), 'BUG_ON');
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
});

test('65,535 mappings: shown, zoomed and followed without waiting', async ({ annotate }) => {
  await containerWith(rig, synthetic('unpin-range'));
  const { host } = rig.service.rigs.use('default');
  const call = (one: Record<string, unknown>) => host.start(one as CallObject);
  for (let i = 0; i < 65_535; i++) {
    const iova = `0x${(0x1_0000_0000n + BigInt(i) * 0x3000n).toString(16)}`;
    call({ call: 'map-dma', container: 'c0', iova, vaddr: iova, size: '0x1000', flags: ['read', 'write'] });
    if (i % 5 === 0) call({ call: 'pin-pages', device: 'd0', iova, npage: 1, prot: ['read'] });
  }
  const started = performance.now();
  await open();
  await strip('c0').waitFor();
  const shown = performance.now() - started;
  await strip('c0').focus();
  await says(readout('c0'), '0x100000000 – 0x100000fff');
  const interactive = performance.now() - started;
  expect(await card('c0').innerText()).toContain('65,535 mappings');

  const keyed = performance.now();
  await page.keyboard.press('End');
  await says(readout('c0'), '0x12fffa000 – 0x12fffafff');
  const key = performance.now() - keyed;

  const zoomed = performance.now();
  for (let i = 0; i < 12; i++) await page.keyboard.press('+');
  await says(readout('c0'), /^(?!.*in this pixel)/s);
  const zoom = performance.now() - zoomed;

  const changed = performance.now();
  await ok(unmap(rig, '0x12fffa000', '0x1000'));
  await says(card('c0').locator('.facts'), '65,534 mappings');
  const followed = performance.now() - changed;

  const figures = { shown, interactive, key, zoom, followed };
  const text = Object.entries(figures).map(([name, ms]) => `${name} ${Math.round(ms)} ms`);
  await annotate(text.join(', '));
  console.info(`65,535 mappings: ${text.join(', ')}`);
  expect(interactive).toBeLessThan(LOAD_MAX_MS);
  expect(key).toBeLessThan(KEY_MAX_MS);
});
