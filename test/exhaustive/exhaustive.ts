import { isDeepStrictEqual } from 'node:util';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { bodyOf } from '../../src/machine/answer.ts';
import { Machine } from '../../src/machine/machine.ts';
import { checkCall } from '../../src/machine/table.ts';
import { known as knownOfIommufd, states } from '../model/iommufd-state.ts';
import { NaiveIommufdHost } from '../model/naive-iommufd-host.ts';
import { NaiveHost } from '../model/naive-model.ts';
import type { Call } from '../model/naive-values.ts';
import { emulatedState, known, modelState } from '../model/type1-state.ts';

/** Kernels that there is a model of. */
export const MODELLED = ['6.1', '6.12-iommufd'] as const;

type Modelled = (typeof MODELLED)[number];

const PAGES = ['0x0', '0x1000', '0x2000'];
const PAGE = '0x1000';
const DEVICES = ['d0', 'd1'];

/** One container, with two mdevs open in it that answer callbacks differently. */
const START: readonly Call[] = [
  { call: 'open-container', container: 'c' },
  ...DEVICES.flatMap((device, i): Call[] => [
    {
      call: 'create-device',
      device,
      driver: { type: 'synthetic', onDmaUnmap: i === 0 ? 'unpin-range' : 'unpin-one' },
    },
    { call: 'open-group', device },
    { call: 'set-container', device, container: 'c' },
    ...(i === 0 ? [{ call: 'set-iommu', container: 'c', type: 3 }] : []),
    { call: 'open-device', device },
  ]),
];

/** Every call that a sequence is made of: three pages mapped and unmapped one by one or at once, pinned, unpinned. */
const CALLS: readonly Call[] = [
  ...PAGES.map((iova) => ({ call: 'map-dma', container: 'c', iova, vaddr: iova, size: PAGE, flags: 3 })),
  { call: 'map-dma', container: 'c', iova: '0x0', vaddr: '0x0', size: '0x3000', flags: 3 },
  ...PAGES.map((iova) => ({ call: 'unmap-dma', container: 'c', iova, size: PAGE, flags: 0 })),
  { call: 'unmap-dma', container: 'c', iova: '0x0', size: '0x3000', flags: 0 },
  ...DEVICES.flatMap((device) => [
    ...PAGES.flatMap((iova) => [
      { call: 'pin-pages', device, iova, npage: 1, prot: 3 },
      { call: 'unpin-pages', device, iova, npage: 1 },
    ]),
    { call: 'pin-pages', device, iova: '0x0', npage: 3, prot: 3 },
    { call: 'close-device', device },
    { call: 'open-device', device },
  ]),
];

/** How many calls there are to choose from. */
export const ALPHABET = CALLS.length;

const CHECKED = new Map([...START, ...CALLS].map((call) => [call, checkCall(call)]));

/** What a call came to in the core, in the models' terms. */
function outcome(machine: Machine, call: Call, knownOf: (body: Record<string, unknown>) => object): object {
  const answer = machine.start(CHECKED.get(call)!).answer!;
  const { end, invalidations, log } = answer;
  const value = end.how === 'returned' ? end.value : {};
  return {
    end: end.how,
    errno: typeof value === 'string' ? value : null,
    invalidations,
    log: log.map((entry) => ({
      kind: entry.kind,
      what: 'condition' in entry ? entry.condition : entry.text,
    })),
    body: knownOf(bodyOf(answer)),
  };
}

/** Runs one sequence on both, and holds every answer and the last state of one against the other's. */
function compare(version: Modelled, sequence: readonly Call[]): void {
  const machine = new Machine(generationOf(version)!);
  const isType1 = version === '6.1';
  const model = isType1 ? new NaiveHost() : new NaiveIommufdHost();
  const knownOf = isType1 ? known : knownOfIommufd;
  for (const call of [...START, ...sequence]) {
    const { body, ...rest } = model.apply(call);
    same(sequence, { ...rest, body: knownOf(body) }, outcome(machine, call, knownOf));
  }
  if (model instanceof NaiveHost) same(sequence, modelState(model), emulatedState(machine.kernel));
  else {
    const { modelled, emulated } = states(model, machine.kernel);
    same(sequence, modelled, emulated);
  }
}

function same(sequence: readonly Call[], model: unknown, core: unknown): void {
  if (isDeepStrictEqual(model, core)) return;
  const calls = sequence.map((call) => JSON.stringify(call)).join('\n  ');
  throw new Error(`after\n  ${calls}\nmodel: ${JSON.stringify(model)}\ncore:  ${JSON.stringify(core)}`);
}

/**
 * Every sequence of exactly `depth` calls, which has every shorter one at its beginning.
 *
 * @returns how many there were
 */
export function everySequence(version: Modelled, depth: number): number {
  const at = new Array<number>(depth).fill(0);
  for (let count = 1; ; count++) {
    compare(
      version,
      at.map((choice) => CALLS[choice]!),
    );
    let place = depth - 1;
    for (; place >= 0; place--) {
      at[place] = (at[place]! + 1) % ALPHABET;
      if (at[place] !== 0) break;
    }
    if (place < 0) return count;
  }
}
