import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { ASYNC, ok } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { says, usePage } from './page.ts';

/** Most that the page may work to show 65,535 mappings and to answer a key then, milliseconds of processor time. */
const LOAD_MAX_MS = 10_000;
const KEY_MAX_MS = 1000;

const at = usePage();

/** What a control is called. Runs in the at.page. */
function nameOf(element: unknown): string {
  const { ariaLabel, labels, textContent } = element as {
    ariaLabel: string | null;
    labels?: { textContent: string }[];
    textContent: string;
  };
  return ariaLabel ?? labels?.[0]?.textContent ?? textContent;
}

/** Texts and controls that are cut off by what they are in, unless that scrolls. Runs in the at.page. */
const stickOut = `[...document.querySelectorAll('body *')].filter((one) => {
  const style = getComputedStyle(one);
  if (!one.checkVisibility() || style.overflowX !== 'visible' || one.matches('.hidden, .skip, .rounds, option, pre *'))
    return false;
  const box = one.getBoundingClientRect();
  const scroller = one.closest('pre, .scroller');
  return !scroller && box.width > 0 && (box.right > innerWidth + 0.5 || one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0);
}).map((one) => one.outerHTML.slice(0, 120))`;

/** Texts with a contrast of less than 4.5 to what is behind them (WCAG 2 AA). Runs in the at.page. */
const faintTexts = `(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
    if (!own || !one.checkVisibility() || one.matches('.hidden, .skip, option')) continue;
    const [a, b] = [parse(getComputedStyle(one).color), behind(one)].map(luminance);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.add(one.outerHTML.slice(0, 100) + ' ' + contrast.toFixed(2));
  }
  return [...faint];
})()`;

test('every control is reached by keyboard and has a name', async () => {
  await at.rig.container(synthetic('ignore'));
  await at.rig.map('0x10000', '0x1000');
  await at.open();
  await at.strip('c0').waitFor();
  const reached = new Set<string>();
  for (let i = 0; i < 30; i++) {
    await at.page.keyboard.press('Tab');
    reached.add(await at.page.evaluate('document.activeElement.tagName'));
  }
  expect([...reached]).toEqual(
    expect.arrayContaining(['A', 'SELECT', 'INPUT', 'BUTTON', 'CANVAS', 'SUMMARY', 'OL']),
  );
  for (const control of await at.page.locator('button:visible, select, input, canvas:visible').all()) {
    expect(await control.evaluate(nameOf)).toMatch(/\S/);
  }
});

test.each([
  [1280, 'light'],
  [1280, 'dark'],
  [390, 'light'],
  [390, 'dark'],
  [360, 'light'],
] as const)(
  '30 containers, %i pixels wide, %s: nothing sticks out, and every text stands out',
  async (width, scheme) => {
    await at.rig.container(synthetic('ignore'));
    await at.rig.bug();
    for (let i = 1; i < 30; i++) {
      await ok(at.rig.post('containers', { container: `c${i}` }));
      await at.rig.create(`d${i}`, synthetic('unpin-range', { holdCallbacks: i === 2 }), {
        container: `c${i}`,
        type: 'type1v2',
      });
      await ok(at.rig.post(`devices/d${i}/open-device`));
      for (let k = 1; k <= 5; k++)
        await at.rig.map(`0x${(k * k * 0x10000).toString(16)}`, '0x4000', { container: `c${i}` });
      await at.rig.pin('0x40000', `d${i}`);
    }
    await ok(at.rig.post('containers/c2/unmap-dma', { iova: '0x40000', size: '0x4000' }, ASYNC));
    await ok(at.rig.post('devices', { device: 'spare', driver: { type: 'vfio-ccw' } }));
    await at.page.emulateMedia({ colorScheme: scheme });
    await at.page.setViewportSize({ width, height: 850 });
    await at.open();
    await at.strip('c0').waitFor();
    await at.strip('c2').waitFor();
    await says(at.log(), 'BUG_ON');
    await says(at.page.locator('#pending'), 'PENDING');
    await at.page.getByLabel('calls', { exact: true }).check();
    expect(await at.page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    expect(await at.page.evaluate(stickOut)).toEqual([]);
    expect(await at.page.evaluate(faintTexts)).toEqual([]);
  },
);

test('the first commands do not stick out of a narrow window', async () => {
  await at.page.setViewportSize({ width: 390, height: 844 });
  await at.open();
  await at.page.locator('#first pre').first().waitFor();
  expect(await at.page.evaluate('document.documentElement.scrollWidth')).toBe(390);
  expect(await at.page.evaluate(stickOut)).toEqual([]);
});

test('65,535 mappings: shown, zoomed and followed without waiting', async ({ annotate }) => {
  await at.rig.container(synthetic('unpin-range'));
  const { host } = at.rig.service.rigs.use('default');
  const call = (one: Record<string, unknown>) => host.start(one as CallObject);
  for (let i = 0; i < 65_535; i++) {
    const iova = `0x${(0x1_0000_0000n + BigInt(i) * 0x3000n).toString(16)}`;
    call({ call: 'map-dma', container: 'c0', iova, vaddr: iova, size: '0x1000', flags: ['read', 'write'] });
    if (i % 5 === 0) call({ call: 'pin-pages', device: 'd0', iova, npage: 1, prot: ['read'] });
  }
  const worked = await processorTime();
  await at.open();
  await at.strip('c0').waitFor();
  const shown = await worked();
  await at.strip('c0').focus();
  await says(at.readout('c0'), '0x100000000 – 0x100000fff');
  const interactive = await worked();
  expect(await at.card('c0').innerText()).toContain('65,535 mappings');

  await at.page.keyboard.press('End');
  await says(at.readout('c0'), '0x12fffa000 – 0x12fffafff');
  const keyed = await worked();

  for (let i = 0; i < 12; i++) await at.page.keyboard.press('+');
  await says(at.readout('c0'), /^(?!.*in this pixel)/s);
  const zoomed = await worked();

  await ok(at.rig.unmap('0x12fffa000', '0x1000'));
  await says(at.card('c0').locator('.facts'), '65,534 mappings');
  const followed = (await worked()) - zoomed;

  const [key, zoom] = [keyed - interactive, zoomed - keyed];
  const figures = { shown, interactive, key, zoom, followed };
  const text = Object.entries(figures).map(([name, ms]) => `${name} ${Math.round(ms)} ms`);
  await annotate(text.join(', '));
  console.info(`65,535 mappings: ${text.join(', ')}`);
  expect(interactive).toBeLessThan(LOAD_MAX_MS);
  expect(key).toBeLessThan(KEY_MAX_MS);
});

/** How much the page has worked since it was opened: a busy machine makes it wait, and not work more. Milliseconds. */
async function processorTime(): Promise<() => Promise<number>> {
  const session = await at.page.context().newCDPSession(at.page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')!.value * 1000;
  };
}
