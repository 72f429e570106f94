import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { TObject } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { webhook } from '../../schemas/drivers/external.ts';
import { Driver } from '../../schemas/drivers/index.ts';
import { FaultFields } from '../../schemas/faults.ts';
import { WebhookAnswer, WebhookRequest } from '../../schemas/webhook.ts';
import { DRIVER_OPTIONS, ON_DMA_UNMAP } from '../../src/docs/reference/words.ts';

/** Fields of a webhook driver that drivers of other types have too. */
const ALSO_OTHERS = ['type', 'bugOnInvalidation'];

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

test.each([
  ['howto-faults', Object.keys(FaultFields).filter((name) => name !== 'fault')],
  ['webhooks', [...Object.keys(WebhookRequest.properties), ...Object.keys(WebhookAnswer.properties)]],
  ['webhooks', Object.keys(webhook.config.properties).filter((name) => !ALSO_OTHERS.includes(name))],
])('the tables of docs/%s.md have every field', (page, fields) => {
  const tables = readFileSync(`docs/${page}.md`, 'utf8')
    .match(/^\| `.*$/gm)!
    .map((row) => row.split(' | ')[0]!);
  expect(fields.filter((name) => !tables.some((row) => row.includes(`\`${name}\``)))).toEqual([]);
});

test('what the documents link to is there', () => {
  for (const page of readdirSync('docs').filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(`docs/${page}`, 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)].map(([, path]) => path!);
    for (const link of links) expect(existsSync(`docs/${link}`), `docs/${page}: ${link}`).toBe(true);
  }
});
