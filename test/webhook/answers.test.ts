import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebhookAllow } from '../../src/webhook/allow.ts';
import { WebhookCaller } from '../../src/webhook/caller.ts';
import { readAnswer } from '../../src/webhook/delivery.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** What a delivery comes to when the receiver writes what it likes. */
async function delivered(answer: (socket: Socket) => void, timeoutMs = 10_000) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => answer(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const caller = new WebhookCaller(new WebhookAllow('127.0.0.1'), false);
  open.push(() => caller.close());
  open.push(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return caller.call({ url, timeoutMs, payload: {} }, new AbortController().signal);
}

const unpins = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ iova: `0x${(i * 4096).toString(16)}`, npage: 1 }));

test('a long answer is read in turns, as a short one is at once', async () => {
  const short = JSON.stringify({ unpin: unpins(10), notify: 'NOTIFY_OK' });
  expect(readAnswer(short)).toEqual({ unpin: unpins(10), result: { notify: 'NOTIFY_OK' } });
  const long = readAnswer(JSON.stringify({ unpin: unpins(20_000), notify: 'NOTIFY_OK' }));
  expect(long).toBeInstanceOf(Promise);
  expect(await long).toEqual({ unpin: unpins(20_000), result: { notify: 'NOTIFY_OK' } });
  expect(await readAnswer(' '.repeat(1_000_000))).toEqual({ unpin: [], result: {} });
});

test.each([
  ['lists in lists', '['.repeat(500_000), /more than 100 deep/],
  ['a list of lists of unpins', `{"unpin":${'['.repeat(500_000)}`, /more than 100 deep/],
  [
    'fields that nobody knows',
    JSON.stringify(Object.fromEntries(unpins(9000).map(({ iova }) => [iova, 1]))),
    /answer\/0x0 is not a known field/,
  ],
  [
    'very many fields',
    JSON.stringify(Object.fromEntries(unpins(50_000).map(({ iova }) => [iova, 1]))),
    /10000/,
  ],
  [
    'a page that is none',
    JSON.stringify({ unpin: [...unpins(9000), { iova: 'x', npage: 1 }] }),
    /answer\/unpin\/9000\/iova is "x"/,
  ],
  ['the name of no errno', JSON.stringify({ errno: 'E'.repeat(20_000) }), /answer\/errno is/],
  ['no JSON', `{"unpin":[${'1,'.repeat(20_000)}`, /the body of the answer/],
])('a long answer that is %s means nothing, in words', async (_what, body, reason) => {
  const read = (await readAnswer(body)) as { reason: string };
  expect(read.reason).toMatch(reason);
  expect(read.reason.length).toBeLessThan(300);
});

test('a body in very many pieces is whole', async () => {
  const body = ' '.repeat(100_000);
  const outcome = await delivered((socket) => {
    const chunks = '1\r\n \r\n'.repeat(body.length);
    socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`);
  });
  expect(outcome).toEqual({ ok: true, status: 200, body });
});

test('a few answers of the kind 1xx may come before the one that counts', async () => {
  const outcome = await delivered((socket) => {
    socket.write(
      `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(16)}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n`,
    );
  });
  expect(outcome).toEqual({ ok: true, status: 200, body: '' });
});

test('a receiver that answers 1xx for ever is given up at once', async () => {
  let sent = 0;
  const outcome = await delivered((socket) => {
    const more = () => {
      while (!socket.destroyed && ++sent < 10_000 && socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'));
    };
    socket.on('drain', more);
    more();
  });
  expect(outcome).toEqual({
    ok: false,
    reason: expect.stringContaining('more than 16 answers of the kind 1xx'),
  });
});
