import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { type HttpRig, startRig } from '../harness/http-rig.ts';
import { type Browser, startBrowser, whyNoBrowser } from './browser.ts';

/** A service that listens, and a page of a browser: new ones for each test. */
export interface PageRig {
  rig: HttpRig;
  page: Page;
  /** Opens the page; `more` is what follows the slash of its address. */
  open(more?: string): Promise<void>;
  /** The address of the service. */
  readonly origin: string;
  card(container: string): Locator;
  /** Its strip, once it is painted. */
  strip(container: string): Locator;
  readout(container: string): Locator;
  /** The entries of the log. */
  log(): Locator;
}

/**
 * Makes them before each test and ends them after it; whatever the browser complains of fails the test. Without a
 * browser the tests are skipped, and say why.
 */
export function usePage(): PageRig {
  const missing = whyNoBrowser();
  let browser: Browser | null = null;
  let complaints: string[] = [];
  const made = {
    get origin() {
      return `http://127.0.0.1:${(made.rig.app.server.address() as { port: number }).port}`;
    },
    async open(more = '') {
      await made.page.goto(`${made.origin}/${more}`);
      await made.page.locator('#state[data-state="live"]').waitFor();
    },
    card: (container: string) => made.page.locator(`article[data-container="${container}"]`),
    strip: (container: string) => made.card(container).locator('canvas[data-painted]'),
    readout: (container: string) => made.card(container).locator('.readout'),
    log: () => made.page.locator('#log li'),
  } as PageRig;
  beforeAll(async () => {
    if (missing === null) browser = await startBrowser();
    else console.warn(`the page is not tested: ${missing}`);
  });
  afterAll(() => browser?.close());
  beforeEach(async ({ skip }) => {
    skip(missing !== null, missing ?? '');
    made.rig = await startRig();
    await made.rig.listen();
    made.page = await browser!.context.newPage();
    complaints = [];
    made.page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    made.page.on('pageerror', (error) => complaints.push(String(error)));
  });
  afterEach(async () => {
    if (missing !== null) return;
    await made.page.close();
    await made.rig.close();
    expect(complaints, 'the browser complained').toEqual([]);
  });
  return made;
}

/** How long expect.poll waits: as long as everything else here. */
export const PATIENCE = { timeout: 30_000 };

/** Waits until an element says something. */
export async function says(where: Locator, text: string | RegExp): Promise<void> {
  await where.filter({ hasText: text }).first().waitFor();
}

/** Runs a command as somebody does who pastes it into a terminal. */
export async function paste(command: string): Promise<void> {
  await promisify(execFile)('sh', ['-c', command]);
}

/** Whether an element is in the window. Runs in the page. */
export function isInWindow(element: unknown): boolean {
  const box = (
    element as { getBoundingClientRect(): { top: number; bottom: number } }
  ).getBoundingClientRect();
  return box.top >= 0 && box.bottom <= (globalThis as unknown as { innerHeight: number }).innerHeight;
}
