import { PassThrough } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import type { Dispatcher } from 'undici';
import { expect, test } from 'vitest';
import { LongBody, readBody } from '../../routes/body.ts';
import { Budget } from '../../src/budget.ts';
import { post } from '../../src/webhook/exchange.ts';

const PIECES = 300_000;

test('a body in pieces of one byte is kept in a few, and others have their turn while it is read', async () => {
  const body = new PassThrough();
  const raw = {};
  const request = { headers: {}, raw, routeOptions: { bodyLimit: 2 * PIECES } } as unknown as FastifyRequest;
  let pauses = 0;
  body.on('pause', () => pauses++);
  const read = new Promise<string | LongBody>((resolve, reject) => {
    readBody(request, body, new Budget(2 * PIECES), (error, all = '') =>
      error ? reject(error) : resolve(all),
    );
  });
  for (let i = 0; i < PIECES; i++) body.push(Buffer.from([0x61 + (i % 26)]));
  body.push(null);
  const all = await read;
  expect(all).toBeInstanceOf(LongBody);
  const texts = [...(all as LongBody).texts()];
  expect(texts.length).toBeLessThan(32);
  expect(texts.join('')).toBe(
    Array.from({ length: PIECES }, (_, i) => String.fromCharCode(0x61 + (i % 26))).join(''),
  );
  expect(pauses).toBeGreaterThan(0);
});

test('of the answer of a webhook small pieces are copied: what they were cut from is let go', async () => {
  const piece = Buffer.from('b');
  const dispatcher = {
    dispatch(_options: unknown, handler: Dispatcher.DispatchHandler) {
      const controller = { abort() {}, pause() {}, resume() {} } as never;
      handler.onRequestStart!(controller, undefined);
      handler.onResponseStart!(controller, 200, {}, 'OK');
      handler.onResponseData!(controller, Buffer.from('a'));
      for (let i = 0; i < 1000; i++) {
        piece.write('bcd'[i % 3]!);
        handler.onResponseData!(controller, piece);
      }
      handler.onResponseEnd!(controller, {});
      return true;
    },
  } as unknown as Dispatcher;
  const given = new AbortController().signal;
  const { text } = await post(
    dispatcher,
    { origin: 'http://x', path: '/', headers: {}, body: '', timeoutMs: 60_000 },
    given,
  );
  expect(text).toBe(`a${'bcd'.repeat(334).slice(0, 1000)}`);
});
