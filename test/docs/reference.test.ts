import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { TObject } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { Driver } from '../../schemas/drivers/index.ts';
import { DRIVER_OPTIONS, ON_DMA_UNMAP } from '../../src/docs/reference/words.ts';

const models = Driver.anyOf as unknown as TObject[];

test('every option of every driver has words', () => {
  const options = models
    .flatMap(({ properties }) => Object.keys(properties))
    .filter((name) => name !== 'type');
  expect(options.filter((name) => !DRIVER_OPTIONS[name])).toEqual([]);
});

test('every onDmaUnmap has words, and there are no words about others', () => {
  const { onDmaUnmap } = models.find(({ properties }) => 'onDmaUnmap' in properties)!.properties;
  const values = (onDmaUnmap as unknown as { anyOf: { const: string }[] }).anyOf.map((one) => one.const);
  expect(Object.keys(ON_DMA_UNMAP).sort()).toEqual([...values].sort());
});

test('what the documents link to is there', () => {
  for (const page of readdirSync('docs').filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(`docs/${page}`, 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)].map(([, path]) => path!);
    for (const link of links) expect(existsSync(`docs/${link}`), `docs/${page}: ${link}`).toBe(true);
  }
});
