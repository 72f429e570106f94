import { performance } from 'node:perf_hooks';
import { Connection, postOf } from './connection.ts';
import { quantile } from './figures.ts';

const PAGE = 4096;
/** Requests after which the rate rises no more, and how long they may take, milliseconds. */
const WARM_UP = 15_000;
const WARM_UP_MS = 45_000;

/** What a round of requests came to. */
export interface Load {
  readonly perSecond: number;
  /** Time within which 99 of 100 were answered, milliseconds. */
  readonly p99: number;
}

/** Keep-alive connections to a server, each with one request under way. */
export class Clients {
  private constructor(private readonly connections: readonly Connection[]) {}

  static async open(port: number, count: number): Promise<Clients> {
    return new Clients(await Promise.all(Array.from({ length: count }, () => Connection.open(port))));
  }

  /** map-dma and unmap-dma on every connection for so long. */
  async run(ms: number): Promise<Load> {
    const latencies: number[] = [];
    const start = performance.now();
    const end = start + ms;
    await Promise.all(this.connections.map((connection, i) => mapAndUnmap(connection, i, end, latencies)));
    const seconds = (performance.now() - start) / 1000;
    return { perSecond: latencies.length / seconds, p99: quantile(latencies, 0.99) };
  }

  /** Runs until a server has compiled what it is asked: on a busy machine that is a matter of requests, not of time. */
  async warmUp(): Promise<void> {
    const end = performance.now() + WARM_UP_MS;
    for (let made = 0; made < WARM_UP && performance.now() < end; ) {
      const { perSecond } = await this.run(500);
      made += perSecond / 2;
    }
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }
}

/** Maps and unmaps a page of its own until it is time, and notes how long each request took. */
async function mapAndUnmap(
  connection: Connection,
  index: number,
  end: number,
  latencies: number[],
): Promise<void> {
  const iova = `0x${(index * PAGE).toString(16)}`;
  const size = `0x${PAGE.toString(16)}`;
  const flags = ['read', 'write'];
  const map = postOf('/v1/containers/c0/map-dma', { iova, vaddr: iova, size, flags });
  const mapped = JSON.stringify({ iova, size });
  const unmap = postOf('/v1/containers/c0/unmap-dma', { iova, size });
  const unmapped = JSON.stringify({ size, invalidations: [] });
  let before = performance.now();
  const note = () => {
    const now = performance.now();
    latencies.push(now - before);
    before = now;
  };
  while (before < end) {
    await connection.exchange(map, mapped);
    note();
    await connection.exchange(unmap, unmapped);
    note();
  }
}
