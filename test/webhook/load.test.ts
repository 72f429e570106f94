import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { loadAgent } from '../../src/webhook/load.ts';

test('what delivers is loaded a part at a time, and nothing that it does not need', async () => {
  const { cache } = createRequire(import.meta.url);
  const loaded = () => Object.keys(cache).filter((path) => path.includes('/undici/')).length;
  const counts = [loaded()];
  expect(counts).toEqual([0]);
  let over = false;
  const watch = () => {
    counts.push(loaded());
    if (!over) setImmediate(watch);
  };
  setImmediate(watch);
  const Agent = await loadAgent();
  over = true;
  counts.push(loaded());
  await new Agent().destroy();
  const growth = counts.slice(1).map((count, i) => count - counts[i]!);
  expect(counts.at(-1)).toBeGreaterThan(15);
  expect(counts.at(-1)).toBeLessThan(60);
  expect(Math.max(...growth)).toBeLessThan(10);
});
