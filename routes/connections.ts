import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Turn } from '../src/turns.ts';

/** Requests of one connection that may be under way at once. */
const UNDERWAY_MAX = 16;

/** Requests of one connection that may wait behind those: from then on no more of it is read. */
const WAITING_MAX = 64;

/**
 * Requests that come on one connection, in turns and a few at a time: clients may send them without waiting for
 * answers. One that waits for another on the same connection does not wait in vain.
 */
export function fewAtATime(handle: RequestListener): RequestListener {
  const lines = new WeakMap<Socket, Line>();
  return (request, response) => {
    const { socket } = request;
    const line = lines.get(socket) ?? new Line(handle, socket);
    lines.set(socket, line);
    line.add(request, response);
  };
}

/** The requests of one connection. */
class Line {
  private readonly turn = new Turn();
  private waiting: [IncomingMessage, ServerResponse][] = [];
  /** Place of the first one of them that has not begun. */
  private first = 0;
  private underway = 0;
  private goesOnLater = false;

  constructor(
    private readonly handle: RequestListener,
    private readonly socket: Socket,
  ) {}

  add(request: IncomingMessage, response: ServerResponse): void {
    if (this.length === 0 && this.underway === 0) this.begin(request, response);
    else {
      this.waiting.push([request, response]);
      this.goOn();
    }
  }

  /** How many wait. */
  private get length(): number {
    return this.waiting.length - this.first;
  }

  private begin(request: IncomingMessage, response: ServerResponse): void {
    this.underway++;
    response.once('close', () => {
      this.underway--;
      this.goOn();
    });
    this.handle(request, response);
  }

  /** Begins what may begin, as long as it is this turn. */
  private goOn(): void {
    const { socket, turn } = this;
    if (this.goesOnLater || this.length === 0) return;
    const wasFull = this.isFull;
    if (socket.destroyed) this.first = this.waiting.length;
    while (this.length > 0 && this.underway < UNDERWAY_MAX) {
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
    // Whatever ends a request has its connection read on.
    if (this.isFull) socket.pause();
    else if (wasFull) socket.resume();
  }

  private forgetBegun(): void {
    if (this.first < WAITING_MAX && this.length > 0) return;
    this.waiting = this.waiting.slice(this.first);
    this.first = 0;
  }

  private get isFull(): boolean {
    return this.length > WAITING_MAX;
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
