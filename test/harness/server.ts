import type { AddressInfo } from 'node:net';
import { VfioHostClient } from '../../src/client/index.ts';
import type { ClientOptions } from '../../src/client/transport.ts';
import type { Config } from '../../src/config.ts';
import { startService, type TestService } from './service.ts';

/** A service that listens, with clients of it. */
export interface Server extends TestService {
  readonly url: string;
  readonly client: VfioHostClient;
  /** One more client; closed with the server. */
  connect(options?: Partial<ClientOptions>): VfioHostClient;
  close(): Promise<void>;
}

/** Starts a service on a port of its own. */
export async function startServer(config: Partial<Config> = {}): Promise<Server> {
  const started = await startService({ logLevel: 'silent', ...config });
  await started.app.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(started.app.server.address() as AddressInfo).port}`;
  const clients: VfioHostClient[] = [];
  const connect = (options: Partial<ClientOptions> = {}) => {
    const client = new VfioHostClient({ url, ...options });
    clients.push(client);
    return client;
  };
  return {
    ...started,
    url,
    client: connect(),
    connect,
    async close() {
      await Promise.all(clients.map((client) => client.close()));
      await started.app.close();
    },
  };
}

/** A container c0 with an open mdev d0 and 16 pages mapped at 0x10000. */
export async function withPins(
  client: VfioHostClient,
  driver: { onDmaUnmap: 'unpin-range' | 'ignore'; holdCallbacks?: boolean },
): Promise<void> {
  await client.openContainer({ container: 'c0' });
  await client.createDevice({ device: 'd0', driver: { type: 'synthetic', ...driver } });
  await client.container('c0').attach('d0');
  await client
    .container('c0')
    .mapDma({ iova: 0x10000n, vaddr: 0x200000n, size: 0x10000n, flags: ['read', 'write'] });
  await client.device('d0').pinPages({ iova: 0x10000n, npage: 1, prot: ['read'] });
}

/** Everything an async iterator gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
