import { generationOf } from '../../src/kernel/generations/index.ts';
import { bytesOfMapping, bytesOfPin } from '../support/bytes.ts';
import { DependentReads } from '../support/dependent-reads.ts';
import type { OrderName } from '../support/order.ts';
import { type Figure, mappings, pins, type Round } from '../support/population.ts';
import { type Row, row } from '../support/row.ts';

const SMALL = 1_000;
const LARGE = 1_000_000;
/** Steps down a balanced tree of LARGE entries. */
const DEPTH = 20;
/** Rounds that do not count: afterwards every path has been compiled for every size. */
const WARM_UP = 4;
const ROUNDS = 15;
const CALLS = ['map', 'unmap', 'pin 1', 'pin 512', 'unpin 1'] as const satisfies Figure[];

/** How many times a call at a thousand one at a million may cost. */
const GROWTH = 3;
/** What a pin of 512 pages may cost, as a share of 512 pins of one. */
const BLOCK_SHARE = 0.25;
/** Bytes of the kernel's struct vfio_dma, about, and of its struct vfio_pfn. */
const MAPPING_BYTES = 192;
const PIN_BYTES = 64;

/** Figures of a population, one a round. */
type Samples = Record<Figure, number[]>;

/** The kernel core of type1, and of iommufd. */
export async function core(): Promise<Row[]> {
  return [...(await engine('6.1', 'type1')), ...(await engine('6.12-iommufd', 'iommufd'))];
}

async function engine(version: string, name: string): Promise<Row[]> {
  const gen = generationOf(version)!;
  const bench = (size: number, order: OrderName): { rounds: Round[]; samples: Samples } => ({
    rounds: [mappings(gen, size, order), pins(gen, size, order)],
    samples: { map: [], unmap: [], 'pin 1': [], 'unpin 1': [], 'pin 512': [], '512 x pin 1': [] },
  });
  const small = bench(SMALL, 'ascending');
  const ascending = bench(LARGE, 'ascending');
  const random = bench(LARGE, 'random');
  const reads = new DependentReads();
  const limits: number[] = [];
  // Every population in turn, so that a slow moment meets all of them alike.
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const { rounds, samples } of [small, ascending, random]) {
      for (const [figure, ns] of rounds.flatMap((each) => Object.entries(each()))) {
        if (round >= 0) samples[figure as Figure].push(ns);
      }
    }
    const ns = DEPTH * reads.measure();
    if (round >= 0) limits.push(ns);
  }
  const rows = CALLS.map((figure) =>
    row(
      `${name}: ${figure}, ascending, at a million, of at a thousand`,
      'ns',
      ascending.samples[figure],
      small.samples[figure],
      { atMost: GROWTH },
    ),
  );
  for (const figure of CALLS.filter((each) => each !== 'pin 512')) {
    const what = `${name}: ${figure}, random, at a million, of ${DEPTH} dependent reads`;
    rows.push(row(what, 'ns', random.samples[figure], limits, { atMost: 1 }));
  }
  const { 'pin 512': one, '512 x pin 1': many } = ascending.samples;
  rows.push(row(`${name}: a pin of 512 pages, of 512 pins of one`, 'ns', one, many, { atMost: BLOCK_SHARE }));
  const bytes = [await bytesOfMapping(gen, LARGE), await bytesOfPin(gen, LARGE)] as const;
  rows.push(
    row(`${name}: bytes a mapping, of the kernel's`, 'B', [bytes[0]], [MAPPING_BYTES], { atMost: 1 }),
  );
  rows.push(row(`${name}: bytes a pin, of the kernel's`, 'B', [bytes[1]], [PIN_BYTES], { atMost: 1 }));
  return rows;
}
