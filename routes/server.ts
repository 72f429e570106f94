import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../src/config.ts';
import { closeUnread, fewAtATime, refuseTunnel } from './connections.ts';
import { takeTarget } from './headers.ts';

/** A server with its limits. A host name may be of two addresses, with a server each. */
export function serverFor(handle: RequestListener, config: Config): Server {
  const requestMs = config.requestSeconds * 1000;
  const server = createServer({
    connectionsCheckingInterval: Math.min(requestMs / 4, 5000),
    // A second Host, Content-Type or Authorization would be dropped: joined to the first it breaks its rule.
    joinDuplicateHeaders: true,
    // The refusal would say nothing; the guard's does.
    requireHostHeader: false,
  });
  const listener = fewAtATime((request, response) => {
    takeTarget(request);
    handle(request, response);
  });
  server.on('request', listener);
  // Expectations but 100-continue: refused in words, as all else is.
  server.on('checkExpectation', listener);
  server.on('connect', (_request, socket) => refuseTunnel(socket as Socket));
  server.maxConnections = config.maxConnections;
  // The bytes of all headers are bounded. More of them than a number would be dropped: an X-Rig, an Origin.
  server.maxHeadersCount = 0;
  server.requestTimeout = requestMs;
  // Node takes the longer of the two for the whole request.
  server.headersTimeout = requestMs;
  server.keepAliveTimeout = config.keepAliveSeconds * 1000;
  closeUnread(server, config.writeSeconds);
  return server;
}
