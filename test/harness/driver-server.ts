import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A callback as a driver outside receives it. */
interface ReceivedCallback {
  headers: IncomingMessage['headers'];
  text: string;
  body: Record<string, unknown>;
}

/** A webhook driver's HTTP server, and everything it was sent. */
export interface DriverServer {
  url: string;
  received: ReceivedCallback[];
  close(): Promise<void>;
}

/** Starts a server on a free port that answers each callback with `answer`. */
export async function driverServer(
  answer: (callback: ReceivedCallback, response: ServerResponse) => void | Promise<void>,
): Promise<DriverServer> {
  const received: ReceivedCallback[] = [];
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const callback = { headers: request.headers, text, body: JSON.parse(text) as Record<string, unknown> };
    received.push(callback);
    await answer(callback, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/callback`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
