import { connect, Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refuseTunnel } from '../../routes/connections.ts';
import { type HttpRig, startRig } from '../harness/http-rig.ts';

let rig: HttpRig;
beforeAll(async () => {
  rig = await startRig({ logLevel: 'silent' });
  await rig.listen();
});
afterAll(() => rig.close());

/** What one connection is answered until it is closed. */
function answerTo(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(rig.port, '127.0.0.1', () => socket.write(text, 'latin1'));
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString('latin1');
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

const HOST = 'host: localhost\r\n';
const CLOSE = 'connection: close\r\n';

/** A request that would make a container, with some headers. */
function post(headers: string, body = '{}', length = `content-length: ${body.length}\r\n`): string {
  const type = /^content-type:/im.test(headers) ? '' : 'content-type: application/json\r\n';
  const host = /^host:/im.test(headers) ? '' : HOST;
  return `POST /v1/containers HTTP/1.1\r\n${host}${CLOSE}${type}${length}${headers}\r\n${body}`;
}

const get = (line: string, headers = HOST) => `${line}\r\n${CLOSE}${headers}\r\n`;

const CHUNKED = '2\r\n{}\r\n0\r\n\r\n';

test.each([
  ['a body in gzip', post('content-encoding: gzip\r\n'), 415, 'content-encoding is "gzip"'],
  ['a body in two codings', post('content-encoding: identity, br\r\n'), 415, '"identity, br"'],
  [
    'a body coded on its way',
    post('transfer-encoding: gzip, chunked\r\n', CHUNKED, ''),
    400,
    '"gzip, chunked"',
  ],
  ['a body in UTF-16', post('content-type: application/json; charset=utf-16\r\n'), 415, '"utf-16"'],
  ['a body in Latin-1', post('content-type: application/json;x=y;Charset="latin1"\r\n'), 415, '"latin1"'],
  ['two types', post('content-type: application/json\r\ncontent-type: text/plain\r\n'), 415, 'text/plain'],
  ['two hosts', post('host: localhost\r\nhost: evil.example\r\n'), 400, 'host is "localhost, evil.example"'],
  [
    'the same host twice',
    post('host: localhost\r\nhost: localhost\r\n'),
    400,
    'host is "localhost, localhost"',
  ],
  ['no host', get('GET /v1 HTTP/1.1', ''), 400, 'host is missing'],
  ['a target of another host', get('GET http://evil.example/v1 HTTP/1.1'), 421, 'host is "evil.example"'],
  ['a target that is no path', get('GET * HTTP/1.1'), 400, 'the target is "*"'],
  ['another expectation', post('expect: 200-ok\r\n'), 417, 'expect is "200-ok"'],
  ['HTTP/2 in words', get('GET /v1 HTTP/2.0'), 400, 'HTTP/2.0'],
  ['HTTP/0.9', 'GET /v1\r\n\r\n', 400, 'HTTP/0.9'],
  ['a tunnel', get('CONNECT localhost:80 HTTP/1.1'), 400, 'CONNECT is not served'],
  ['a method that needs a type', get('QUERY /v1 HTTP/1.1'), 405, 'QUERY /v1 is not served'],
])('%s is refused in words, and nothing is made', async (_what, text, status, detail) => {
  const before = (await rig.http('GET', '/v1')).body;
  const answer = await answerTo(text);
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head).toContain('application/problem+json');
  expect(JSON.parse(body)).toMatchObject({ status, detail: expect.stringContaining(detail) });
  expect((await rig.http('GET', '/v1')).body).toEqual(before);
});

test.each([
  ['a body as it is', post('content-encoding: identity\r\n')],
  ['UTF-8, in quotes', post('content-type: application/json; charset="UTF-8"\r\n')],
  ['an expectation that is met', post('expect: 100-continue\r\n')],
  ['a chunked body', post('transfer-encoding: chunked\r\n', CHUNKED, '')],
  ['a target that names its host', post('').replace('/v1', 'http://localhost:9/v1')],
])('%s is taken', async (_what, text) => {
  expect(await answerTo(text)).toMatch(/HTTP\/1\.1 201 /);
});

test('however many headers there are, none is passed over', async () => {
  const many = 'a:\r\n'.repeat(3000);
  expect(await answerTo(post(`${many}x-rig: behind\r\n`))).toMatch(/^HTTP\/1\.1 201 /);
  expect((await rig.http('GET', '/v1/rigs')).body.rigs).toContainEqual(
    expect.objectContaining({ rig: 'behind', containers: 1 }),
  );
  expect(await answerTo(post(`${many}origin: http://evil.example\r\n`))).toMatch(/^HTTP\/1\.1 403 /);
});

test.each([
  ['no path', '/v1/nothing', 404],
  ['no method of it', '/v1/events', 405],
])('%s is said whatever the body is', async (_what, path, status) => {
  for (const [body, length] of [
    ['{', 1],
    ['x', 999_999_999],
  ] as const) {
    const text = post('', body, `content-length: ${length}\r\n`).replace('/v1/containers', path);
    const answer = await answerTo(text);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  }
});

test('a tunnel whose client leaves meanwhile ends nothing', () => {
  const socket = new Socket();
  refuseTunnel(socket);
  expect(() => socket.emit('error', new Error('write ECONNRESET'))).not.toThrow();
});

test('a tunnel behind a request that is under way ends the connection', async () => {
  const wait = `GET /v1/events?wait=1&since=999 HTTP/1.1\r\n${HOST}\r\n`;
  expect(await answerTo(wait + get('CONNECT localhost:80 HTTP/1.1'))).toBe('');
  // Whoever was waited for has gone.
  await expect.poll(() => rig.service.rigs.list()[0]!.readers).toBe(0);
});
