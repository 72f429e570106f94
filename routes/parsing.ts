import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/**
 * What Node parses the requests of a connection with. It takes up to 64 KiB at once, which may be 2,000 requests, and there is
 * no described way to stop it between two of them, so here is all that this program knows of its inside. Where a
 * Node has it otherwise nothing is stopped, and the requests come all at once.
 */
interface Parser {
  /** What a request's head is told to; HPE_PAUSED in place of its 0 stops the parser there. */
  onIncoming(request: IncomingMessage, keepAlive: boolean): number;
  resume(): void;
  execute(bytes: Uint8Array): unknown;
}

/** llhttp's number and name for that. */
const HPE_PAUSED = 21;
const PAUSED = 'HPE_PAUSED';

/** What is told as an error of the connection when its parser has stopped. */
export interface Stopped extends NodeJS.ErrnoException {
  readonly rawPacket: Buffer;
  readonly bytesParsed: number;
}

const parserOf = (socket: Socket) => (socket as { parser?: Parser | null }).parser;

const ignore = () => {};

/** Has the parser of a connection stop behind the head that comes next, if it comes in the bytes that are being parsed. */
export function stopParsing(socket: Socket): void {
  const parser = parserOf(socket);
  if (typeof parser?.onIncoming !== 'function' || Object.hasOwn(parser.onIncoming, 'stops')) return;
  // The parser reads the socket by itself until somebody else listens; from then on the socket keeps what is put back.
  if (!socket.listeners('data').includes(ignore)) socket.on('data', ignore);
  const { onIncoming } = parser;
  const stop = (request: IncomingMessage, keepAlive: boolean) => {
    const special = onIncoming.call(parser, request, keepAlive);
    parser.onIncoming = onIncoming;
    return special || HPE_PAUSED;
  };
  parser.onIncoming = Object.assign(stop, { stops: true });
}

/** Whether an error of a connection says no more than that its parser has stopped. */
export function hasStopped(error: NodeJS.ErrnoException): error is Stopped {
  return error.code === PAUSED;
}

/** Puts the bytes back that the parser has not come to: they are parsed when the connection, which is paused, is read on. */
export function putBack({ rawPacket, bytesParsed }: Stopped, socket: Socket): void {
  const parser = parserOf(socket) as Parser;
  const rest = rawPacket.subarray(bytesParsed);
  parser.resume();
  // A request without a body is over with its head.
  parser.execute(rest.subarray(0, 0));
  socket.pause();
  if (rest.length > 0) socket.unshift(rest);
}
