import { EventEmitter } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { fewAtATime, refuseBroken } from '../../routes/connections.ts';
import { type HttpRig, startRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

let rig: HttpRig | null = null;
afterEach(async () => {
  await rig?.close();
  rig = null;
});

async function listening(config = {}): Promise<HttpRig> {
  rig = await startRig({ logLevel: 'silent', ...config });
  await rig.listen();
  return rig;
}

/** Sends requests in one go, and gives back what has come when `until` says that it is all. */
function send(port: number, text: string, until: (answer: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      if (!until(answer)) return;
      socket.destroy();
      resolve(answer);
    });
    socket.on('error', reject);
    socket.write(text);
  });
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;

/** A socket that tells whether it is read. */
function toldSocket() {
  const reads: string[] = [];
  const tell = (what: string) => () => reads.push(what);
  const socket = { destroyed: false, pause: tell('pause'), resume: tell('resume') } as unknown as Socket;
  return { socket, reads };
}

test('three thousand requests in one go are all answered, in order', async () => {
  const server = await listening();
  const paths = Array.from({ length: 3000 }, (_, i) => `/v1/containers/c${i}`);
  const last = '"c2999"';
  const answer = await send(server.port, paths.map(get).join(''), (text) =>
    text.includes(last.replaceAll('"', '\\"')),
  );
  const named = [...answer.matchAll(/\\"(c\d+)\\"/g)].map(([, id]) => `/v1/containers/${id}`);
  expect([...new Set(named)]).toEqual(paths);
});

test('of one connection few requests are under way at once, no more is read while many wait, and others have their turn', async () => {
  const begun: (EventEmitter & { closed?: boolean })[] = [];
  const handle = fewAtATime((_request, response) => void begun.push(response));
  const { socket, reads } = toldSocket();
  for (let i = 0; i < 200; i++) {
    handle({ socket, headers: {} } as IncomingMessage, new EventEmitter() as ServerResponse);
  }
  // A turn may be over at any time.
  while (begun.length < 16) await turn();
  expect(begun).toHaveLength(16);
  expect(reads.at(-1)).toBe('pause');
  for (let done = 0; done < 200; done++) {
    while (begun.length <= done) await turn();
    expect(begun.length - done).toBeLessThanOrEqual(16);
    begun[done]!.closed = true;
    begun[done]!.emit('close');
  }
  expect(reads.at(-1)).toBe('resume');
});

test('of requests that come in one go few are parsed while none is answered; all are whole and in order', async () => {
  const begun: [IncomingMessage, ServerResponse][] = [];
  const handle = fewAtATime((...both) => void begun.push(both));
  let parsed = 0;
  const server = createServer((...both) => {
    parsed++;
    handle(...both);
  });
  server.on('clientError', refuseBroken);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const count = 600;
  // Heads and bodies of every length, so that the parser stops at every place of what it is given.
  const texts = Array.from({ length: count }, (_, i) => {
    const body = i % 3 === 0 ? '' : `${i}`.repeat(i % 40);
    return body === ''
      ? `GET /${i} HTTP/1.1\r\nhost: localhost\r\n\r\n`
      : `POST /${i} HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  });
  const all = send((server.address() as AddressInfo).port, texts.join(''), (text) =>
    text.includes(`/${count - 1} `),
  );
  while (begun.length < 16) await turn();
  for (let i = 0; i < 100; i++) await turn();
  expect(begun).toHaveLength(16);
  expect(parsed).toBeLessThan(100);
  for (let i = 0; i < count; i++) {
    while (begun.length <= i) await turn();
    const [request, response] = begun[i]!;
    let body = '';
    for await (const part of request) body += part;
    response.end(`${request.url} ${body};`);
    expect(parsed - i).toBeLessThan(100);
  }
  const answers = (await all).match(/(?<=\r\n\r\n)\/[^;]*(?=;)/g);
  expect(answers).toEqual(texts.map((text, i) => `/${i} ${text.slice(text.indexOf('\r\n\r\n') + 4)}`));
  server.close();
});

test('the body of a request that waits for others is read when it begins', async () => {
  const begun: (EventEmitter & { closed?: boolean })[] = [];
  const handle = fewAtATime((_request, response) => void begun.push(response));
  const { socket, reads } = toldSocket();
  const add = (headers: object) => {
    const request = { socket, headers, complete: false };
    handle(request as IncomingMessage, new EventEmitter() as ServerResponse);
    return request;
  };
  for (let i = 0; i < 17; i++) add({});
  while (begun.length < 16) await turn();
  expect(reads).toEqual([]);
  const last = add({ 'transfer-encoding': 'chunked' });
  expect(reads).toEqual(['pause']);
  // What was read already has its end in it.
  last.complete = true;
  for (const done of [0, 1]) {
    begun[done]!.closed = true;
    begun[done]!.emit('close');
    while (begun.length < 17 + done) await turn();
  }
  expect(reads.at(-1)).toBe('resume');
});

test('a call that waits for another on the same connection does not wait in vain', async () => {
  const server = await listening();
  await server.pinned(synthetic('unpin-range', { holdCallbacks: true }));
  const post = (path: string, body: string) =>
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const both = `${post('/v1/containers/c0/unmap-dma', '{"iova":"0x10000","size":"0x10000"}')}${post('/v1/devices/d0/resume-callbacks', '{}')}`;
  const answer = await send(server.port, both, (text) => text.split('HTTP/1.1 200').length > 2);
  expect(answer).toContain('"invalidations":[{"device":"d0"');
});

test('a client that reads nothing of a long answer is let go, and meanwhile the next requests are refused in words', async () => {
  const server = await listening({ writeSeconds: 1, answerBytes: 1024 * 1024 });
  const body = '{"vaddr":"0x0","length":16777216}';
  const socket = connect(server.port, '127.0.0.1');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  socket.pause();
  socket.write(
    `POST /v1/processes/p0/read-memory HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  while (server.service.answers.used === 0) await turn();
  const refused = await fetch(`${server.url}/v1`);
  expect(refused.status).toBe(429);
  expect(((await refused.json()) as { detail: string }).detail).toContain('1048576 bytes');
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  while (server.service.answers.used > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await fetch(`${server.url}/v1`)).status).toBe(200);
  socket.destroy();
  await closed;
});
