import { CALL_NAMES, restOf } from '../../schemas/calls.ts';
import { line, setupLines } from './lines.ts';
import { pipelined } from './pipelined.ts';
import {
  full,
  fullSnapshot,
  leaked,
  MAPPINGS,
  maps,
  NDJSON,
  ndjson,
  pinnedMillion,
  ready,
  reset,
} from './stall-rigs.ts';
import type { Target } from './target.ts';

const REPLAYED = 100_000;
const TIB = 2 ** 40;
const MIB = 2 ** 20;
const BIG = 30 * MIB;

/** A work whose stalls are measured. */
export interface Work {
  readonly what: string;
  /** Whether each round has a service of its own, at which nothing has been asked. */
  readonly fresh?: boolean;
  /** Makes the service ready for a round. */
  before?(service: Target): Promise<unknown>;
  work(service: Target): Promise<unknown>;
}

const hex = (value: number) => `0x${value.toString(16)}`;
const post = (path: string, body: object | string, type?: string) => (service: Target) =>
  service.request('POST', path, body, type);
const get = (path: string) => (service: Target) => service.request('GET', path);

/** What is refused is answered with 4xx; the answer itself does not count here. */
const refused =
  (method: string, path: string, body: string, type = 'application/json') =>
  (service: Target) =>
    service.refused(method, path, body, type);

const memory = '/v1/processes/p0/write-memory';
const steps = (count: number) => [...setupLines(), ...Array.from({ length: count / 2 - 2 }, pair).flat()];
const trace = (count: number) => `{"steps":[${steps(count).join(',')}]}`;

/** What goes on for long because it is much. */
const LONG: readonly Work[] = [
  {
    what: `a batch of ${MAPPINGS} lines`,
    before: ready,
    work: post('/v1/batch', ndjson(maps), NDJSON),
  },
  { what: `a replay of ${REPLAYED} steps`, work: post('/v1/replay', trace(REPLAYED)) },
  { what: 'a comparison of 2,000 steps on seven kernels', work: post('/v1/compare', trace(2000)) },
  { what: `taking a snapshot of ${MAPPINGS} mappings and pins`, before: full, work: get('/v1/snapshot') },
  {
    what: 'restoring it',
    before: reset,
    work: async (service) => service.request('PUT', '/v1/snapshot', await fullSnapshot(service)),
  },
  { what: 'dirty-get of 1 TiB, a quarter an answer', before: watched, work: dirtyGet },
  {
    what: `unmap of ${MAPPINGS} pinned mappings at once`,
    before: full,
    work: post('/v1/containers/c0/unmap-dma', { iova: '0x0', size: '0x10000000' }),
  },
  {
    what: 'unmap of a million pinned pages',
    before: pinnedMillion,
    work: post('/v1/containers/c0/unmap-dma', { iova: '0x0', size: '0x100000000' }),
  },
  { what: 'reset of a rig with a million pins', before: pinnedMillion, work: reset },
  {
    what: 'reads of 16 MiB in a batch',
    before: ready,
    work: post(
      '/v1/batch',
      ndjson(
        Array.from({ length: 4 }, () =>
          line('read-memory', { process: 'p0', vaddr: '0x0', length: 16 * MIB }),
        ),
      ),
      NDJSON,
    ),
  },
  {
    what: 'a close that warns 20,000 times',
    before: leaked,
    work: (service) => service.calls([line('unset-container', { device: 'd0' })]),
  },
  {
    what: 'pages of 10,000 events, and of 1,000 mappings and pins',
    before: full,
    work: async (service) => {
      await get('/v1/events?limit=10000')(service);
      for (const list of ['mappings', 'pins']) {
        await get(`/v1/containers/c0/${list}?limit=1000&after=60000`)(service);
      }
    },
  },
  {
    what: 'the trace, as JSON and for curl, dmesg and the verdict, after 131,070 calls',
    work: async (service) => {
      for (const path of ['/v1/trace', '/v1/trace?format=curl', '/v1/dmesg', '/metrics', '/v1']) {
        await get(path)(service);
      }
      await service.refused('GET', '/v1/verdict');
    },
  },
  {
    what: 'a search',
    work: post('/v1/explore', {
      drivers: [{ type: 'synthetic', onDmaUnmap: 'unpin-range' }],
      depth: 8,
      seconds: 2,
    }),
  },
  {
    what: 'a setup of 65,535 calls',
    work: post('/v1/setup', ndjson([...setupLines(), ...maps]), NDJSON),
  },
];

/** What is first used. */
const FIRST: readonly Work[] = [
  { what: 'the first GET /openapi.json', fresh: true, work: get('/openapi.json') },
  { what: 'the first page of the manual', fresh: true, work: get('/docs/reference') },
  {
    what: 'the first request of each route, broken',
    fresh: true,
    work: async (service) => {
      for (const call of CALL_NAMES) {
        const { method, url } = restOf(call);
        const path = url.replace(/:\w+/g, 'x0');
        await service.refused(
          method,
          method === 'POST' ? path : `${path}?x=1`,
          method === 'POST' ? '{"x":1}' : null,
        );
      }
      for (const path of ['/v1/explore', '/v1/minimize', '/v1/replay', '/v1/compare', '/v1/setup']) {
        await service.refused('POST', path, '{"x":1}');
      }
      await service.refused('PUT', '/v1/snapshot', '{"x":1}');
      await service.request('POST', '/v1/batch', '{"call":"reset"}\n', NDJSON);
    },
  },
  {
    what: 'the first snapshot that is restored',
    fresh: true,
    work: async (service) => service.request('PUT', '/v1/snapshot', await get('/v1/snapshot')(service)),
  },
];

/** What is meant to stall. */
const HOSTILE: readonly Work[] = [
  { what: '100,000 pipelined GETs', work: ({ port }) => pipelined(port, 100_000) },
  {
    what: 'a snapshot of a million once-only warnings',
    work: refused('PUT', '/v1/snapshot', `{"state":{"warnedOnce":[${'"B1",'.repeat(1_000_000)}"B1"]}}`),
  },
  {
    what: 'a body of 1.5 million unknown fields',
    work: refused('POST', memory, `{${Array.from({ length: 1_500_000 }, (_, i) => `"f${i}":1`).join(',')}}`),
  },
  {
    what: 'twenty bodies of 30 MB at once',
    before: ready,
    work: (service) => {
      const body = JSON.stringify({ vaddr: '0x0', data: 'A'.repeat(BIG) });
      return Promise.all(Array.from({ length: 20 }, () => service.any('POST', memory, body)));
    },
  },
  {
    what: 'twenty writes of 16 MiB at once',
    before: ready,
    work: (service) => {
      const body = JSON.stringify({ vaddr: '0x0', data: Buffer.alloc(16 * MIB, 1).toString('base64') });
      return Promise.all(Array.from({ length: 20 }, () => service.any('POST', memory, body)));
    },
  },
  {
    what: 'a list of 15 million numbers',
    work: refused('POST', '/v1/containers', `[${'0,'.repeat(BIG / 2)}0]`),
  },
  {
    what: 'a trace of ten million empty steps',
    work: refused('POST', '/v1/replay', `{"id":"t","kernel":"6.1","steps":[${'{},'.repeat(BIG / 3)}{}]}`),
  },
  {
    what: 'a batch with one line of 30 MB',
    work: post('/v1/batch', `{"call":"${'x'.repeat(BIG)}"}\n`, NDJSON),
  },
  {
    what: 'a batch of 300,000 broken lines',
    work: post(
      '/v1/batch',
      '{"call":"check-extension","container":"c9","extension":1}\n'.repeat(300_000),
      NDJSON,
    ),
  },
];

export const WORKS: readonly Work[] = [...LONG, ...FIRST, ...HOSTILE];

/** One answer carries a bitmap of 8 MiB, and a range may not bisect a mapping. */
function quarters(): { iova: string; size: string }[] {
  return [0, 1, 2, 3].map((quarter) => ({ iova: hex((quarter * TIB) / 4), size: hex(TIB / 4) }));
}

async function watched(service: Target): Promise<void> {
  await ready(service);
  const maps = quarters().map(({ iova, size }) =>
    line('map-dma', { container: 'c0', iova, vaddr: iova, size, flags: 3 }),
  );
  await service.calls([...maps, line('dirty-start', { container: 'c0' })]);
}

async function dirtyGet(service: Target): Promise<void> {
  for (const range of quarters()) {
    await service.request('POST', '/v1/containers/c0/dirty-get', { ...range, pageSize: '0x1000' });
  }
}

function pair(_: unknown, i: number): string[] {
  const iova = hex((i % 1000) * 4096);
  const range = { container: 'c0', iova, size: '0x1000' };
  return [line('map-dma', { ...range, vaddr: iova, flags: 3 }), line('unmap-dma', range)];
}
