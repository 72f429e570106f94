import type { Driver } from '../../schemas/drivers/index.ts';
import type { AlsoName } from '../../schemas/explore.ts';
import {
  type Generation,
  generationOf,
  KERNEL_VERSIONS,
  RECORDED_VERSIONS,
} from '../kernel/generations/index.ts';
import type { Scenario } from '../replay/scenario.ts';
import { atOnce } from '../turns.ts';
import { sceneOf } from './alphabet.ts';
import type { Finding } from './goals.ts';
import type { Scene } from './scene.ts';
import { Search } from './search.ts';
import { traceOf } from './trace.ts';

/** A section of the table: some drivers, searched on every kernel. */
export interface Section {
  /** Names its file of traces. */
  readonly id: string;
  readonly title: string;
  readonly drivers: readonly Driver[];
  readonly pages: number;
  readonly depth: number;
  /** Where iommufd provides the container: there a call waits for others in more places. */
  readonly iommufdDepth?: number;
  readonly iommu?: string;
  readonly also?: readonly AlsoName[];
}

const synthetic = (onDmaUnmap: string, more: object = {}) =>
  ({ type: 'synthetic', onDmaUnmap, ...more }) as Driver;

const HELD = synthetic('unpin-range', { holdCallbacks: true });

/** What is searched for the table. The depths are what takes seconds. */
export const SECTIONS: readonly Section[] = [
  { id: 'vfio-ap', title: 'vfio-ap, of the kernel', drivers: [{ type: 'vfio-ap' }], pages: 2, depth: 6 },
  ...(['notifier', 'callback', 'range'] as const).map((variant) => ({
    id: `vfio-ap-${variant}`,
    title: `vfio-ap, \`${variant}\``,
    drivers: [{ type: 'vfio-ap', variant } as Driver],
    pages: 1,
    depth: 6,
  })),
  {
    id: 'vfio-ap-two',
    title: 'vfio-ap, two devices',
    drivers: [{ type: 'vfio-ap' }, { type: 'vfio-ap' }],
    pages: 1,
    depth: 5,
  },
  { id: 'vfio-ccw', title: 'vfio-ccw, of the kernel', drivers: [{ type: 'vfio-ccw' }], pages: 2, depth: 6 },
  ...(['notifier', 'callback-first-page', 'range', 'range-deferred'] as const).map((variant) => ({
    id: `vfio-ccw-${variant}`,
    title: `vfio-ccw, \`${variant}\``,
    drivers: [{ type: 'vfio-ccw', variant } as Driver],
    pages: 2,
    depth: 5,
  })),
  {
    id: 'vfio-ccw-two',
    title: 'vfio-ccw, two devices',
    drivers: [{ type: 'vfio-ccw' }, { type: 'vfio-ccw' }],
    pages: 1,
    depth: 5,
  },
  {
    id: 'vfio-ccw-other',
    title: 'vfio-ccw beside a synthetic driver that unpins what it is asked to',
    drivers: [{ type: 'vfio-ccw' }, synthetic('unpin-range')],
    pages: 1,
    depth: 5,
  },
  { id: 'gvt-g', title: 'GVT-g, of the kernel', drivers: [{ type: 'gvt-g' }], pages: 2, depth: 5 },
  {
    id: 'gvt-g-double-shift',
    title: 'GVT-g, `double-shift`',
    drivers: [{ type: 'gvt-g', variant: 'double-shift' }],
    pages: 2,
    depth: 4,
  },
  ...['ignore', 'unpin-first-page', 'reset-if-start-pinned', 'reset-if-overlap', 'no-callback'].map(
    (answer) => ({
      id: `synthetic-${answer}`,
      title: `synthetic, \`${answer}\``,
      drivers: [synthetic(answer)],
      pages: 2,
      depth: 5,
    }),
  ),
  {
    id: 'synthetic-two',
    title: 'synthetic, two devices that unpin what they are asked to',
    drivers: [synthetic('unpin-range'), synthetic('unpin-range')],
    pages: 1,
    depth: 6,
  },
  {
    id: 'synthetic-race',
    title: 'synthetic, one whose callback others run beside',
    drivers: [HELD, synthetic('unpin-range')],
    pages: 1,
    depth: 6,
    iommufdDepth: 5,
  },
  {
    id: 'synthetic-race-pages',
    title: 'synthetic, one whose callback others run beside, alone on three pages',
    drivers: [HELD],
    pages: 3,
    depth: 5,
    iommufdDepth: 4,
  },
  {
    id: 'synthetic-v1',
    title: 'synthetic, in a container of type1 v1',
    drivers: [synthetic('unpin-range')],
    pages: 2,
    depth: 4,
    iommu: 'type1',
  },
  {
    id: 'synthetic-dirty',
    title: 'synthetic, with dirty tracking',
    drivers: [synthetic('unpin-range')],
    pages: 2,
    depth: 4,
    also: ['dirty'],
  },
  {
    id: 'synthetic-memlock',
    title: 'synthetic, with a RLIMIT_MEMLOCK of a page',
    drivers: [synthetic('unpin-range')],
    pages: 2,
    depth: 5,
    also: ['memlock'],
  },
  {
    id: 'synthetic-pci',
    title: 'synthetic, beside a PCI device, with vaddrs taken and given back',
    drivers: [synthetic('unpin-range')],
    pages: 1,
    depth: 5,
    also: ['pci', 'vaddr'],
  },
  {
    id: 'synthetic-processes',
    title: 'synthetic, in processes that fork and end',
    drivers: [synthetic('unpin-range')],
    pages: 1,
    depth: 5,
    also: ['processes'],
  },
  {
    id: 'synthetic-removal',
    title: 'synthetic, and removed',
    drivers: [synthetic('unpin-range')],
    pages: 1,
    depth: 4,
    also: ['removal'],
  },
  {
    id: 'vfio-ap-lost',
    title: 'vfio-ap, `range`, with callbacks that are lost on the way',
    drivers: [{ type: 'vfio-ap', variant: 'range' }],
    pages: 1,
    depth: 5,
    also: ['faults'],
  },
  {
    id: 'vfio-ap-responses',
    title: 'vfio-ap, whose queues answer otherwise than with success',
    drivers: [{ type: 'vfio-ap' }],
    pages: 1,
    depth: 4,
    also: ['responses'],
  },
  {
    id: 'vfio-ccw-hold',
    title: 'vfio-ccw, which stops between two steps while others run',
    drivers: [{ type: 'vfio-ccw' }],
    pages: 1,
    depth: 5,
    also: ['hold'],
  },
  { id: 'manual', title: 'a driver outside', drivers: [{ type: 'manual' }], pages: 1, depth: 5 },
  { id: 'mtty', title: 'mtty', drivers: [{ type: 'mtty' }], pages: 1, depth: 6 },
];

/** Mappings that there may be at once. */
const MAPPINGS = 3;
/** Enough for every section, bytes. */
const MEMORY = 2 ** 28;

/** A finding on a kernel: the shortest trace that comes to it, and how many calls that has beyond the section's own. */
export interface Reached {
  readonly finding: Finding;
  readonly kernel: string;
  readonly length: number;
  readonly trace: Scenario;
}

/** The scene of a section on a kernel. */
function sceneOfSection({ drivers, pages, iommu, also = [] }: Section, gen: Generation): Scene {
  const given = { also, ...(iommu === undefined ? {} : { iommu }) };
  return sceneOf(gen, { drivers, pages, mappings: MAPPINGS, ...given });
}

/** Calls of the longest trace that is tried for a section on a kernel. */
function depthOf({ depth, iommufdDepth }: Section, gen: Generation): number {
  return gen.containerOf === 'iommufd' ? (iommufdDepth ?? depth) : depth;
}

/** Searches a section on a kernel, at most as deep as the table says. */
export function searchSection(
  section: Section,
  kernel: string,
  most: number = Number.POSITIVE_INFINITY,
): Reached[] {
  const gen = generationOf(kernel)!;
  const depth = Math.min(most, depthOf(section, gen));
  const scene = sceneOfSection(section, gen);
  const bounds = { depth, memory: MEMORY, time: Number.POSITIVE_INFINITY };
  const { hits, ended } = atOnce(new Search(scene, bounds, null, () => 0).run());
  if (ended !== 'depth' && ended !== 'exhausted') throw new Error(`${section.id} on ${kernel}: ${ended}`);
  return hits
    .map(({ finding, path }) => ({
      finding,
      kernel,
      length: path.length,
      trace: traceOf(`${finding} ${kernel}`, scene, path),
    }))
    .sort((a, b) => (a.finding < b.finding ? -1 : 1));
}

/** What is found in a file of traces again. */
export function reachedOf(section: Section, traces: readonly Scenario[]): Reached[] {
  return traces.map((trace) => {
    const [finding = '', kernel = ''] = trace.id.split(' ');
    const calls = trace.steps.filter(({ call }) => call !== 'await').length;
    const { setup } = sceneOfSection(section, generationOf(kernel)!);
    return { finding, kernel, length: calls - setup.length, trace };
  });
}

/** File of the traces of a section, from the root of the repository. */
export function tracesFile({ id }: Section): string {
  return `examples/reachability/${id}.jsonl`;
}

const HEAD = `# Reachability

Is the BUG_ON reachable? What follows was not worked out by reading: \`vfio-host explore\` has tried every sequence of calls
within the bounds that each section names, on every kernel: ${RECORDED_VERSIONS.join(', ')} were recorded, what the others
would answer is had from their sources. Written by \`npm run reachability\`, in some minutes. Calls are those of the
drivers, open and close, map and unmap; what else is tried a section’s title says, and \`src/explore/also.ts\` what is not.

A number is the calls of a shortest trace to the finding, those that set the scene (a container, its devices open) not
counted; it leads to that trace, which \`replay\`, \`compare\` and \`POST /v1/replay\` take. A dash: none within the bounds.
\`BUG_ON:B1:nobody-left\` is the BUG_ON with no device there to be told, \`BUG_ON:B1:not-called\` the one whose holder was never
told because another driver ended the chain. What each splat says is in [splats.md](splats.md), the kernels' own bugs are in
[kernels.md](kernels.md).
`;

/** docs/reachability.md. */
export function reachabilityPage(results: readonly (readonly [Section, readonly Reached[]])[]): string {
  return [HEAD, ...results.map(([section, reached]) => sectionOf(section, reached))].join('\n');
}

function sectionOf(section: Section, reached: readonly Reached[]): string {
  const { title, pages, depth, iommufdDepth } = section;
  const rows = [...new Set(reached.map(({ finding }) => finding))].sort().map((finding) => {
    const cells = KERNEL_VERSIONS.map((kernel) => {
      const line = reached.findIndex((one) => one.finding === finding && one.kernel === kernel);
      return line < 0 ? '–' : `[${reached[line]!.length}](../${tracesFile(section)}#L${line + 1})`;
    });
    return `| \`${finding}\` | ${cells.join(' | ')} |`;
  });
  const fewer = iommufdDepth === undefined ? '' : ` (with iommufd ${iommufdDepth})`;
  const bounds = `Up to ${depth} calls${fewer}, ${pages} page${pages === 1 ? '' : 's'}, ${MAPPINGS} mappings.`;
  if (rows.length === 0) return [`## ${title}`, '', `${bounds} Nothing is reached.`, ''].join('\n');
  return [
    `## ${title}`,
    '',
    bounds,
    '',
    `| finding | ${KERNEL_VERSIONS.join(' | ')} |`,
    `|---|${KERNEL_VERSIONS.map(() => '---').join('|')}|`,
    ...rows,
    '',
  ].join('\n');
}
