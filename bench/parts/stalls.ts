import { line, mapLines, pinLines, setupLines } from '../support/lines.ts';
import { type Row, row } from '../support/row.ts';
import { Target } from '../support/target.ts';

const ROUNDS = 5;
/** The longest that nobody else has a turn, milliseconds. */
const LIMIT_MS = 20;
/** As many mappings as dma_entry_limit lets a container have. */
const MAPPINGS = 65_535;
const REPLAYED = 100_000;
const TIB = 2 ** 40;

/** A work whose stalls are measured, on a service that `before` has made ready for each round. */
interface Work {
  readonly what: string;
  before?(service: Target): Promise<unknown>;
  work(service: Target): Promise<unknown>;
}

const maps = mapLines(MAPPINGS);
const pins = pinLines(MAPPINGS);
const ndjson = (lines: readonly string[]) => `${lines.join('\n')}\n`;
const unmapAll = { iova: '0x0', size: '0x10000000' };
const reset = (service: Target) => service.request('POST', '/v1/reset', {});

async function ready(service: Target): Promise<void> {
  await reset(service);
  await service.calls(setupLines());
}

async function full(service: Target): Promise<void> {
  await ready(service);
  await service.calls(maps);
  await service.calls(pins);
}

let snapshot = '';

const WORKS: readonly Work[] = [
  {
    what: `a batch of ${MAPPINGS} lines`,
    before: ready,
    work: (service) => service.request('POST', '/v1/batch', ndjson(maps), 'application/x-ndjson'),
  },
  {
    what: `a replay of ${REPLAYED} steps`,
    work: (service) => {
      const steps = [...setupLines(), ...Array.from({ length: REPLAYED / 2 - 2 }, pair).flat()];
      return service.request('POST', '/v1/replay', `{"steps":[${steps.join(',')}]}`);
    },
  },
  {
    what: `taking a snapshot of ${MAPPINGS} mappings and pins`,
    before: full,
    work: async (service) => {
      snapshot = await service.request('GET', '/v1/snapshot');
    },
  },
  {
    what: 'restoring it',
    before: reset,
    work: (service) => service.request('PUT', '/v1/snapshot', snapshot),
  },
  {
    what: 'dirty-get of 1 TiB, a quarter an answer',
    before: async (service) => {
      await ready(service);
      const maps = quarters().map(({ iova, size }) =>
        line('map-dma', { container: 'c0', iova, vaddr: iova, size, flags: 3 }),
      );
      await service.calls([...maps, line('dirty-start', { container: 'c0' })]);
    },
    work: dirtyGet,
  },
  {
    what: `unmap of ${MAPPINGS} pinned mappings at once`,
    before: full,
    work: (service) => service.request('POST', '/v1/containers/c0/unmap-dma', unmapAll),
  },
];

/** One answer carries a bitmap of 8 MiB, and a range may not bisect a mapping. */
function quarters(): { iova: string; size: string }[] {
  const hex = (value: number) => `0x${value.toString(16)}`;
  return [0, 1, 2, 3].map((quarter) => ({ iova: hex((quarter * TIB) / 4), size: hex(TIB / 4) }));
}

async function dirtyGet(service: Target): Promise<void> {
  for (const range of quarters()) {
    await service.request('POST', '/v1/containers/c0/dirty-get', { ...range, pageSize: '0x1000' });
  }
}

function pair(_: unknown, i: number): string[] {
  const iova = `0x${((i % 1000) * 4096).toString(16)}`;
  const range = { container: 'c0', iova, size: '0x1000' };
  return [line('map-dma', { ...range, vaddr: iova, flags: 3 }), line('unmap-dma', range)];
}

/** The longest that a service's event loop stands still during each work. */
export async function stalls(): Promise<Row[]> {
  const service = await Target.start('service');
  const rows: Row[] = [];
  for (const { what, before, work } of WORKS) {
    const longest: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await before?.(service);
      await service.ask('watch');
      await work(service);
      longest.push((await service.ask('stall')).stallMs);
    }
    const limits = longest.map(() => LIMIT_MS);
    rows.push(row(`longest stall: ${what}`, 'ms', longest, limits, { atMost: 1 }));
  }
  await service.stop();
  return rows;
}
