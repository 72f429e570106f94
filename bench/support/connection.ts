import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Head of an HTTP answer up to its body: its status and the body's length. */
const HEAD = /^HTTP\/1\.1 (\d+) [\s\S]*?\r\ncontent-length: (\d+)\r\n[\s\S]*?\r\n\r\n/i;

/**
 * One keep-alive connection with one request under way. A client of its own, because it shares the processor
 * with the server that it measures: it does no more than to write bytes and to compare bytes.
 */
export class Connection {
  private received = '';
  private expected = '';
  private done: () => void = () => {};
  private failed: (error: Error) => void = () => {};

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => this.onData(text));
    socket.on('error', (error) => this.failed(error));
    socket.on('close', () => this.failed(new Error('the server closed a connection')));
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Connection(socket);
  }

  /** Makes a request; anything but a 200 with this body, and maybe the end of its line, fails. */
  exchange(request: string, body: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.received = '';
      this.expected = body;
      this.done = resolve;
      this.failed = reject;
      this.socket.write(request, 'latin1');
    });
  }

  private onData(text: string): void {
    this.received += text;
    const head = HEAD.exec(this.received);
    if (!head) return;
    const [{ length }, status, bodyLength] = head;
    if (this.received.length < length + Number(bodyLength)) return;
    const body = this.received.slice(length).trimEnd();
    if (status === '200' && body === this.expected) this.done();
    else this.failed(new Error(`${status} ${body}, not ${this.expected}`));
  }

  close(): void {
    this.failed = () => {};
    this.socket.destroy();
  }
}

/** The bytes of a POST. */
export function postOf(path: string, body: object): string {
  const text = JSON.stringify(body);
  return (
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n` +
    `content-length: ${text.length}\r\n\r\n${text}`
  );
}
