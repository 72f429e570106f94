import { connect } from 'node:net';

const GET = 'GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
const STATUS = Buffer.from('HTTP/1.1 200');
/** Requests in one write. */
const TOGETHER = 1000;

/** So many requests on one connection, none of which waits for the answer to the one before. */
export function pipelined(port: number, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answers = 0;
    let rest = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${answers} of ${count} requests were answered`)));
    socket.on('data', (chunk) => {
      const bytes = Buffer.concat([rest, chunk]);
      let end = 0;
      for (let at = bytes.indexOf(STATUS); at >= 0; at = bytes.indexOf(STATUS, end)) {
        answers++;
        end = at + STATUS.length;
      }
      rest = bytes.subarray(Math.max(end, bytes.length - STATUS.length + 1));
      if (answers < count) return;
      socket.removeAllListeners('close').destroy();
      resolve();
    });
    for (let sent = 0; sent < count; sent += TOGETHER)
      socket.write(GET.repeat(Math.min(TOGETHER, count - sent)));
  });
}
