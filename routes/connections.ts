import {
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Socket } from 'node:net';
import { Turn } from '../src/turns.ts';
import { hasBody } from './headers.ts';
import { hasStopped, putBack, type Stopped, stopParsing } from './parsing.ts';
import { badHttp } from './replies.ts';

/** Requests of one connection that may be under way at once. */
const UNDERWAY_MAX = 16;

/** Requests of one connection that may wait behind those: from then on no more of it is read, until few of them are left. */
const WAITING_MAX = 64;
const WAITING_FEW = 16;

const lines = new WeakMap<Socket, Line>();

/**
 * Requests that come on one connection, in turns and a few at a time: clients may send them without waiting for
 * answers. One that waits for another on the same connection does not wait in vain.
 */
export function fewAtATime(handle: RequestListener): RequestListener {
  return (request, response) => {
    const { socket } = request;
    const line = lines.get(socket) ?? new Line(handle, socket);
    lines.set(socket, line);
    line.add(request, response);
  };
}

/** Answers to requests that are answered while they come, which have begun. */
const meanwhile = new WeakSet<ServerResponse>();

/** A request is answered while it comes: whoever answers gives it its time, also before the first of its answer goes out. */
export function answersMeanwhile(response: ServerResponse): void {
  meanwhile.add(response);
}

/** What came on a connection is no request, or not a whole one in time: it is refused in its place, and nothing after it read. */
export function refuseBroken(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const line = lines.get(socket);
  if (line && hasStopped(error)) line.putBack(error);
  else if (line) line.refuse(error);
  else endWith(socket, error);
}

/** Nobody tunnels through here. Answers that are under way end with their connection: nothing drains it any more. */
export function refuseTunnel(socket: Socket): void {
  // Its client may have left already, and nobody else hears of that: Node has let go of the socket.
  socket.on('error', () => {});
  const line = lines.get(socket);
  if (line && !line.isIdle) socket.destroy();
  else endWith(socket, new Error('CONNECT is not served: this is no proxy'));
}

function endWith(socket: Socket, error: NodeJS.ErrnoException): void {
  const { status, body } = badHttp(statusOf(error), error.message);
  const text = `${JSON.stringify(body)}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ];
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${text}`);
  socket.destroySoon();
}

function statusOf({ code }: NodeJS.ErrnoException): number {
  if (isLate(code)) return 408;
  return code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
}

const isLate = (code: string | undefined) => code === 'ERR_HTTP_REQUEST_TIMEOUT';

/** The requests of one connection. */
class Line {
  private readonly turn = new Turn();
  private waiting: [IncomingMessage, ServerResponse][] = [];
  /** Place of the first one of them that has not begun. */
  private first = 0;
  private readonly underway = new Set<ServerResponse>();
  private goesOnLater = false;
  private isRead = true;
  private last: [IncomingMessage, ServerResponse] | null = null;
  private broken: NodeJS.ErrnoException | null = null;

  constructor(
    private readonly handle: RequestListener,
    private readonly socket: Socket,
  ) {}

  add(request: IncomingMessage, response: ServerResponse): void {
    const before = this.last?.[1];
    this.last = [request, response];
    if (this.length === 0 && this.underway.size === 0 && (!before || before.closed)) {
      this.handle(request, response);
      return;
    }
    // Where others wait, the one before is one of them.
    if (this.length === 0) this.hear(before);
    this.waiting.push([request, response]);
    this.goOn();
    if (this.length > WAITING_MAX) this.stopReading();
    else if (this.length > 0 && hasBody(request)) this.pause();
  }

  /**
   * The end of an answer matters to those that wait for it alone: of requests that come one after the other, which are
   * nearly all, nobody hears of it.
   */
  private hear(response: ServerResponse | undefined): void {
    if (!response || response.closed || this.underway.has(response)) return;
    this.underway.add(response);
    response.once('close', () => {
      this.underway.delete(response);
      this.goOn();
      this.endBroken();
    });
  }

  /** Whether every request is answered. */
  get isIdle(): boolean {
    return this.length === 0 && this.underway.size === 0 && (this.last?.[1].closed ?? true);
  }

  /** How many wait. */
  private get length(): number {
    return this.waiting.length - this.first;
  }

  private begin(request: IncomingMessage, response: ServerResponse): void {
    this.hear(response);
    this.handle(request, response);
  }

  /** Refuses the request that is coming in, or what comes in place of one. */
  refuse(error: NodeJS.ErrnoException): void {
    const { incoming } = this;
    const goesOut = incoming !== null && (incoming.headersSent || meanwhile.has(incoming));
    if (isLate(error.code) && goesOut && !incoming.writableEnded) return;
    this.broken ??= error;
    if (this.length === 0) this.hear(this.last?.[1]);
    this.endBroken();
  }

  /** The refusal's turn is when those before it are answered. A request that has an answer, or a part of one, gets no other. */
  private endBroken(): void {
    const { broken, incoming, socket } = this;
    if (!broken || socket.destroyed) return;
    const isOwn = incoming !== null && (this.underway.has(incoming) || this.length > 0);
    if (this.underway.size + this.length > (isOwn ? 1 : 0)) return;
    if (incoming?.headersSent) socket.destroySoon();
    else endWith(socket, broken);
  }

  /** The answer to a request that has not come whole. */
  private get incoming(): ServerResponse | null {
    const { last } = this;
    return last && !last[0].complete ? last[1] : null;
  }

  /** Begins what may begin, as long as it is this turn. */
  private goOn(): void {
    const { socket, turn } = this;
    if (this.goesOnLater || this.length === 0) return;
    if (socket.destroyed) this.first = this.waiting.length;
    while (this.length > 0 && this.underway.size < UNDERWAY_MAX) {
      if (turn.isDue()) {
        this.goesOnLater = true;
        turn.later(() => {
          this.goesOnLater = false;
          this.goOn();
        });
        break;
      }
      const [request, response] = this.waiting[this.first++]!;
      this.begin(request, response);
    }
    this.forgetBegun();
    if (this.isRead || this.length > WAITING_FEW) return;
    this.isRead = true;
    socket.resume();
  }

  /** No more is read of the connection: nobody takes the body that is coming yet, and its pieces may be many. */
  private pause(): void {
    this.isRead = false;
    this.socket.pause();
  }

  /** No more is read of the connection, nor parsed of what is read already. */
  private stopReading(): void {
    stopParsing(this.socket);
    this.pause();
  }

  /** The parser has stopped. By then few may wait. */
  putBack(stopped: Stopped): void {
    putBack(stopped, this.socket);
    if (this.isRead) this.socket.resume();
  }

  private forgetBegun(): void {
    if (this.first < WAITING_MAX && this.length > 0) return;
    this.waiting = this.waiting.slice(this.first);
    this.first = 0;
  }
}

/** How far a connection has come with what is written to it. */
interface Progress {
  /** Bytes that its client has taken. */
  taken: number;
  /** When that was more than before, milliseconds. */
  since: number;
}

/**
 * Closes connections whose clients do not read what they are sent.
 *
 * @param seconds how long nothing of it may be taken
 */
export function closeUnread(server: Server, seconds: number): void {
  const connections = new Map<Socket, Progress>();
  const look = () => {
    const now = performance.now();
    for (const [socket, progress] of connections) {
      const taken = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength > 0 && taken === progress.taken) {
        if (now - progress.since >= seconds * 1000) socket.destroy();
        continue;
      }
      progress.taken = taken;
      progress.since = now;
    }
  };
  server.on('listening', () => {
    const timer = setInterval(look, Math.min(seconds * 250, 5000)).unref();
    server.once('close', () => clearInterval(timer));
  });
  server.on('connection', (socket) => {
    connections.set(socket, { taken: 0, since: performance.now() });
    socket.once('close', () => connections.delete(socket));
  });
}
