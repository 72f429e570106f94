import { connect } from 'node:net';
import type { Random } from '../simulation/random.ts';

/** What no HTTP client would send. */
const TEXTS: readonly (() => string)[] = [
  () => '\r\n\r\n',
  () => 'GET\r\n\r\n',
  () => 'GET / HTTP/9.9\r\n\r\n',
  () => 'GET /health HTTP/1.1\r\n\r\n',
  () => 'GET /health HTTP/1.0\r\n\r\n',
  () => `GET /health HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
  () => `GET /health HTTP/1.1\r\nhost: localhost\r\n${'a: b\r\n'.repeat(3000)}\r\n`,
  () => `GET /${'x'.repeat(70_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
  () => 'POST /v1/reset HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello',
  () => 'POST /v1/reset HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0.5\r\n\r\n',
  () => 'POST /v1/reset HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n',
  () => 'POST /v1/reset HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999\r\n\r\n',
  () =>
    'POST /v1/reset HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n',
  () =>
    'POST /v1/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
  () =>
    'POST /v1/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"cal',
  () =>
    'POST /v1/containers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
  () =>
    'GET /v1/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nlast-event-id: 0.5\r\n\r\n',
  () => 'GET /v1/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n',
  () => 'HEAD /v1/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n',
  () => 'GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(500),
  () => 'GET http://evil.example/ HTTP/1.1\r\nhost: evil.example\r\n\r\n',
  () => 'CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: localhost\r\n\r\n',
  () => 'GET /health HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
  () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  () => '\u0016\u0003\u0001\u0000\u0005hello',
  () => 'GET /health HTTP/1.1\nhost: localhost\n\n',
  () => 'GET /health HTTP/1.1\r\n host: localhost\r\n\r\n',
  () => 'GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n',
  () => 'POST /v1/reset HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n',
  () => 'POST /v1/reset HTTP/1.1\r\nhost: localhost\r\nexpect: 200-ok\r\ncontent-length: 2\r\n\r\n{}',
];

/** How long a socket is held at most, milliseconds. */
const HELD_MS = 200;

/**
 * Sends something raw and leaves: at once, half way, or when an answer is there.
 *
 * @returns the statuses that came back
 */
export function rawAttack(port: number, random: Random): Promise<{ sent: string; statuses: number[] }> {
  const text = random.pick(TEXTS)();
  const cut = random.chance(0.3) ? text.slice(0, random.upTo(text.length)) : text;
  const how = random.pick(['answer', 'answer', 'reset', 'end'] as const);
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let got = '';
    const over = setTimeout(() => socket.destroy(), HELD_MS);
    socket.on('data', (chunk) => {
      if (got.length < 100_000) got += chunk.toString('latin1');
      if (how === 'answer' && !text.includes('event-stream')) socket.end();
    });
    // A server that closes while it is written to resets the connection.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(over);
      const statuses = [...got.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
      resolve({ sent: text.slice(0, 200), statuses });
    });
    socket.on('connect', () => {
      socket.write(cut, 'latin1');
      if (how === 'reset') socket.resetAndDestroy();
      if (how === 'end') socket.end();
    });
  });
}
