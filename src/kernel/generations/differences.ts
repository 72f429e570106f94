import type { SplatId, SplatSites } from '../splats.ts';
import { ENGINE_DIFFERENCES, ENGINE_TRAITS } from './engine-differences.ts';
import type { ConsoleTraits, CoreTraits, DriverKernels, Generation, Type1Traits } from './generation.ts';
import { GENERATIONS } from './index.ts';

/** One value of a generation: of one of its groups (`type1.channel`), or by itself. */
type Trait =
  | `core.${keyof CoreTraits}`
  | `type1.${keyof Type1Traits}`
  | `console.${keyof ConsoleTraits}`
  | `drivers.${keyof DriverKernels}`
  | 'containerOf'
  | 'splats';

/** One difference between kernel generations, as a user should know it. */
export interface KernelDifference {
  /** Stable; names the section of docs/kernels.md. */
  readonly id: string;
  readonly title: string;
  /** Why a step is answered differently, in a sentence or two. */
  readonly text: string;
  /** The traits of a generation that make it. */
  readonly traits: readonly Trait[];
  /**
   * The recorded kernel that it came with, where the traits stand for more than one difference: a driver's do, as it
   * changed with several kernels.
   */
  readonly since?: string;
  /** Recordings that show it. */
  readonly scenarios: readonly string[];
}

/** What differs between the kernels whose containers type1 provides. */
const TYPE1_DIFFERENCES: readonly KernelDifference[] = [
  {
    id: 'invalidation-channel',
    title: 'Notifier chain or dma_unmap callback',
    text:
      'Up to 5.19 drivers hear of an unmap through a notifier chain, first opened first, and NOTIFY_BAD ends it; ' +
      'from 6.0 on type1 calls dma_unmap of every open device, last opened first, and nobody can end the round. ' +
      'The list of devices has a lock inside the container’s, so that opening, closing or unmapping during a callback can deadlock.',
    traits: ['type1.channel'],
    scenarios: ['hand-cb-order', 'hand-cb-order-reopen', 'spec-39-lifo'],
  },
  {
    id: 'unmap-walk',
    title: 'Which mapping an unmap takes first',
    text:
      '5.10 searches the tree again from its root for any overlapping mapping, so the order follows the shape of the ' +
      'red-black tree; from 5.12 on an unmap goes upwards from the lowest mapping.',
    traits: ['type1.unmapWalk'],
    scenarios: ['deep-00170', 'deep-00179', 'rand-00094'],
  },
  {
    id: 'bisected-after-round',
    title: 'A range that turns out bisected after a callback round',
    text:
      'When a map made during a callback bisects the range, 5.10 answers EINVAL; later kernels answer success with ' +
      'the size removed so far, because the result was set to 0 before the first callback.',
    traits: ['type1.bisectedAfterRound'],
    scenarios: [],
  },
  {
    id: 'unpin-answer',
    title: 'unpin has an answer, or warns',
    text:
      'On 5.10 vfio_unpin_pages returns the number of pages walked or an errno and never warns; from 6.0 on it ' +
      'returns nothing and warns about a bad count, a missing mapping or a v1 container.',
    traits: ['core.unpinAnswers'],
    scenarios: ['hand-unpin-nothing', 'hand-v1-basic', 'spec-29-unpin-hole'],
  },
  {
    id: 'open-device-required',
    title: 'A closed device may go on',
    text:
      'On 5.10 pin, unpin and dma_rw work as long as the group is in a container with an IOMMU; from 6.1 on the ' +
      'device itself must be open (EINVAL and a warning).',
    traits: ['core.driverCallsNeed'],
    scenarios: ['hand-closed-device', 'hand-never-open', 'hand-rw-closed'],
  },
  {
    id: 'open-check-flags',
    title: 'The once-only flag of the open check',
    text:
      'Up to 6.1 pin, unpin and dma_rw share one once-only warning about a closed device; later each of them ' +
      'reports once.',
    traits: ['core.openCheckPerCaller'],
    scenarios: ['hand-closed-device'],
  },
  {
    id: 'closed-pin-warns',
    title: 'A pin on a closed device warns twice',
    text: 'From 6.2 on vfio_pin_pages on a closed device warns each time, besides the once-only warning.',
    traits: ['core.closedPinWarns'],
    scenarios: ['hand-closed-device', 'hand-never-open'],
  },
  {
    id: 'pin-needs-dma-unmap',
    title: 'A driver without dma_unmap cannot pin',
    text:
      'Up to 6.1 a driver that does not listen may pin while another device of the container listens, and then ends ' +
      'an unmap in the BUG; from 6.2 on its pin is EINVAL and its unpin warns.',
    traits: ['core.pinNeedsDmaUnmap'],
    scenarios: ['hand-nocb-with-cb', 'hand-nocb-with-cb-bug', 'hand-nocb-last-cb-closed'],
  },
  {
    id: 'unpin-check-order',
    title: 'Order of the checks of unpin',
    text: '6.1 looks at the count before it looks whether the device is open; later kernels do it the other way round.',
    traits: ['core.unpinChecksCountFirst'],
    scenarios: [],
  },
  {
    id: 'pins-by-page',
    title: 'Pins by page frame or by exact address',
    text:
      'On 5.10 a driver names page frames, so an offset in the page cannot be expressed and is dropped; from 6.0 on ' +
      'the exact IOVA is the key, and two offsets in one page are two pins.',
    traits: ['core.pinsByPage'],
    scenarios: ['hand-pin-misaligned'],
  },
  {
    id: 'unmap-all-and-vaddr',
    title: 'Unmap-all and vaddr updates',
    text: 'VFIO_UNMAP_ALL and VFIO_UPDATE_VADDR came with 5.12: on 5.10 their flags are EINVAL and their extensions 0.',
    traits: ['type1.unmapAllAndVaddr'],
    scenarios: ['hand-unmap-all', 'hand-pci-vaddr', 'spec-group-9-10'],
  },
  {
    id: 'iommu-page-sizes',
    title: 'Page sizes of an IOMMU-backed container',
    text:
      '5.10 reports every multiple of 4 KiB; later kernels what the hardware has (4 KiB, 2 MiB, 1 GiB). A change of ' +
      'the Intel IOMMU driver.',
    traits: ['type1.iommuPageSizes'],
    scenarios: ['hand-pci-basic'],
  },
  {
    id: 'close-notification',
    title: 'Closing a container takes its lock',
    text:
      'From 5.12 to 6.2 closing the container’s file takes iommu->lock, so on a wedged container it hangs; before ' +
      'and after it does not.',
    traits: ['type1.closeNotifies'],
    scenarios: [],
  },
  {
    id: 'register-before-open',
    title: 'Registered before or after open_device',
    text:
      'From 6.2 on a device is registered with type1 before its open_device runs, so that it may pin there; up to ' +
      '6.1 only afterwards.',
    traits: ['core.registersBeforeOpen'],
    scenarios: [],
  },
  {
    id: 'top-of-address-space',
    title: 'Mappings that end at 2^64',
    text:
      'Up to 6.17 a mapping that ends at 2^64 is accepted but cannot be found again, and at the root of the tree it ' +
      'hides others; from 6.18 on it is a mapping like any other.',
    traits: ['type1.wrapsAtTop'],
    scenarios: ['spec-19-top-twice', 'spec-21-top-root', 'hand-map-top'],
  },
  {
    id: 'overflow-errno',
    title: 'Ranges beyond 2^64',
    text: 'A range that ends beyond 2^64 is EINVAL up to 6.17, and EOVERFLOW from 6.18 on.',
    traits: ['type1.overflow'],
    scenarios: ['hand-map-wrap', 'hand-unmap-bad'],
  },
  {
    id: 'nesting',
    title: 'Nesting (type 6) is gone',
    text: 'VFIO_TYPE1_NESTING_IOMMU was removed in 6.13: CHECK_EXTENSION answers 0 and SET_IOMMU ENODEV.',
    traits: ['type1.nesting'],
    scenarios: ['hand-nesting', 'hand-iommu-types'],
  },
  {
    id: 'nesting-errno',
    title: 'Nesting behind an IOMMU that cannot nest',
    text:
      'A device behind an IOMMU without nested translation does not join a nesting container: the Intel IOMMU driver ' +
      'of 5.10 answers ENODEV, later ones EINVAL.',
    traits: ['type1.nestingRefused'],
    scenarios: ['multi-00018', 'multi-00155'],
  },
  {
    id: 'misaligned-at-attach',
    title: 'A misaligned pin when an IOMMU domain is attached',
    text:
      'When a domain is attached, 6.1 and 6.12 do not see that a pin at an offset already holds its page and charge ' +
      'it again; 7.2 counts it once.',
    traits: ['type1.misalignedPinsCountAtAttach'],
    scenarios: ['spec-misaligned-replay'],
  },
  {
    id: 'zero-page',
    title: 'Memory that was never written',
    text:
      'What nobody ever wrote is the shared zero page. Up to 6.2 it is pinned as it is, a reserved page that is neither ' +
      'charged nor limited; later kernels give a long-term pin a page of its own and charge it. (An aligned 2 MiB of it ' +
      'is one huge zero page, which all of them charge.)',
    traits: ['type1.zeroPageReserved'],
    scenarios: ['mem-00024', 'mem-00036'],
  },
  {
    id: 'beyond-width',
    title: 'A mapping that the tables of a joining IOMMU cannot reach',
    text:
      'A group that joins a container with a mapping beyond the width of its IOMMU is refused with EFAULT by the IOMMU ' +
      'driver up to 6.12; on 7.2 the page tables answer ERANGE.',
    traits: ['type1.beyondWidth'],
    scenarios: ['late-pci-beyond-39'],
  },
  {
    id: 'dma-owner',
    title: 'A host driver in a shared group',
    text:
      'From 5.19 on a group that joins a container claims its DMA: with a host driver among its devices set-container ' +
      'is EPERM, and a host driver that binds later is EBUSY. Before, only opening a device looks (EINVAL), and a host ' +
      'driver that binds to a group in use is a BUG of the task that binds.',
    traits: ['core.claimsDmaOwner'],
    scenarios: ['group-mf-two-other', 'group-mf-rebind-other-in-container'],
  },
  {
    id: 'map-pieces',
    title: 'The pieces in which a mapping is entered',
    text:
      '5.10 hands its IOMMU driver powers of two of pages, later kernels as many as lie together in memory: the line ' +
      'about the width names another address.',
    traits: ['type1.mapsPowersOfTwo'],
    scenarios: ['width-late-straddle-57'],
  },
  {
    id: 'scalable-coherency',
    title: 'Coherency of an IOMMU in scalable mode',
    text: 'On 5.10 an IOMMU in scalable mode counts as coherent: CHECK_EXTENSION of VFIO_DMA_CC_IOMMU is 1, later 0.',
    traits: ['type1.scalableIsCoherent'],
    scenarios: ['width-sm-info'],
  },
  {
    id: 'driver-models',
    title: 'vfio-ap',
    text:
      'The driver itself changed: notifiers before 6.0; vfio-ap unpins one page in 6.0 and 6.1 and walks its queues from ' +
      '6.2 on. A device that asks for no variant gets the one of its host’s kernel.',
    traits: ['drivers.vfio-ap'],
    scenarios: [],
  },
  {
    id: 'vfio-ccw-callback',
    title: 'vfio-ccw hears of unmaps by callback, and looks at the whole range',
    text:
      'On 5.10 vfio-ccw looks at the first page of an unmapped range only, and a RESET that takes the end of a program ' +
      'away from its interrupt leaves the pages pinned and every later start EBUSY; an open does not touch the state, ' +
      'so that a device that was closed is EIO until a RESET. Later it looks at every page of the range, a RESET and ' +
      'a close give the pages back, an open enables the subchannel; but where disabling it fails, the pages are given ' +
      'back by a workqueue, which is hardly ever in time for the eleven rounds of an unmap.',
    traits: ['drivers.vfio-ccw'],
    scenarios: ['unmap-middle', 'reset-after-end', 'close-open', 'inject-disable-eio-unmap'],
  },
  {
    id: 'vfio-ccw-exact-keys',
    title: 'vfio-ccw pins bytes, not page frames',
    text:
      'On 5.10 all pages of a CCW are pinned, and unpinned, in one call that takes a list of page frames: an unpin ' +
      'stops at the first page that is gone, and those after it stay pinned. Later the keys are exact bytes, in a ' +
      'call for each run of them; and a program has at most 16 segments.',
    traits: ['drivers.vfio-ccw-program'],
    since: '6.1',
    scenarios: ['two-hole-first', 'segs-17', 'direct-12800-801'],
  },
  {
    id: 'vfio-ccw-dma-rw',
    title: 'vfio-ccw reads programs with dma_rw',
    text:
      'Up to 6.2 vfio-ccw pins the pages of a program and of its IDA lists for the moment, for reading and writing, and ' +
      'where a list cannot be read it unpins pages that it never pinned: another driver’s, if they are pinned. From ' +
      '6.3 on it reads with dma_rw and does not. The keys of a CCW’s data begin at pages but for the first, ' +
      'and IDAWs of format 1 and for 2 KiB, EOPNOTSUPP before, are pinned a call each.',
    traits: ['drivers.vfio-ccw-program'],
    since: '6.12',
    scenarios: ['two-d6', 'direct-12800-801', 'ida-fmt1-2', 'direct-i2k-1000'],
  },
  {
    id: 'gvt-g-callback',
    title: 'GVT-g hears of unmaps by callback, and no longer of its guest',
    text:
      'Up to 5.19 GVT-g unpins page by page and warns where an unpin does not answer 1; when its guest goes while its ' +
      'file is open it lets go of everything; a second file is EEXIST. From 6.0 on it unpins all pages of an entry in ' +
      'one call, also where that is none (which warns), keeps what it has when its guest goes, and warns once when it is ' +
      'removed while open.',
    traits: ['drivers.gvt-g'],
    since: '6.1',
    scenarios: [],
  },
  {
    id: 'gvt-g-page-tracking',
    title: 'GVT-g after the rework of page tracking',
    text:
      'From 6.6 on GVT-g no longer unpins 0 pages where a pin failed at its first page, which warned each time; a ' +
      'dma-buf that wants a page of a vGPU without a guest is EINVAL instead of ENODEV; and its removal while open is ' +
      'left to VFIO, without a warning of its own.',
    traits: ['drivers.gvt-g'],
    since: '6.12',
    scenarios: [],
  },
  {
    id: 'splat-sites',
    title: 'Where a splat is reported',
    text: 'The same condition is reported under another function or file.',
    traits: ['splats'],
    scenarios: ['hand-pin-huge-count'],
  },
  {
    id: 'warning-line',
    title: 'The first line of a warning',
    text: 'Up to 6.12 `WARNING: CPU: n PID: m at FILE:LINE FUNCTION`; 7.2 has `WARNING: FILE:LINE at FUNCTION`.',
    traits: ['console.warningLine'],
    scenarios: [],
  },
];

/** Every difference: between kernels with type1, then between type1 and iommufd. */
export const DIFFERENCES: readonly KernelDifference[] = [
  ...TYPE1_DIFFERENCES,
  ...Object.entries(ENGINE_DIFFERENCES).map(([id, difference]) => ({
    id,
    ...difference,
    traits: ENGINE_TRAITS,
  })),
];

/** Traits that say nothing where the engines differ. */
const OF_THE_ENGINE = /^type1\.|^core\.pin(PagesMax|sByPage)$|^core\.registersBeforeOpen$/;

/** The differences between two generations. What type1 does shows only where it provides the containers of both. */
export function differencesBetween(from: Generation, to: Generation): KernelDifference[] {
  const between = versionsBetween(from, to);
  const differs = (trait: Trait) => traitOf(from, trait) !== traitOf(to, trait);
  const sameEngine = !differs('containerOf');
  return DIFFERENCES.filter(({ traits, since }) => {
    if (traits === ENGINE_TRAITS) return !sameEngine;
    if (since !== undefined && !between.includes(since)) return false;
    const shown = sameEngine ? traits : traits.filter((trait) => !OF_THE_ENGINE.test(trait));
    return shown.some(differs);
  });
}

/** The recorded kernels after the older of two generations, up to the newer. */
function versionsBetween(from: Generation, to: Generation): string[] {
  const [a, b] = [from, to].map(({ version }) => GENERATIONS.findIndex((gen) => gen.version === version));
  return GENERATIONS.slice(Math.min(a!, b!) + 1, Math.max(a!, b!) + 1).map(({ version }) => version);
}

/** A generation with one difference taken from another. */
export function withDifference(
  base: Generation,
  other: Generation,
  difference: KernelDifference,
): Generation {
  const mixed = { ...base };
  for (const trait of difference.traits) {
    const [group, field] = trait.split('.') as [keyof Generation, string | undefined];
    const value = traitOf(other, trait);
    Object.assign(mixed, { [group]: field ? { ...(mixed[group] as object), [field]: value } : value });
  }
  // A kernel with a trait of another may come to print what it does not have itself.
  const rest = mixed.splats === base.splats ? other.splats : base.splats;
  return { ...mixed, splats: withSites(mixed.splats, rest) };
}

function traitOf(gen: Generation, trait: Trait): unknown {
  const [group, field] = trait.split('.') as [keyof Generation, string | undefined];
  return field ? (gen[group] as Readonly<Record<string, unknown>>)[field] : gen[group];
}

/** The sites of one kernel, and where it has none, those of another. */
function withSites(sites: SplatSites, others: SplatSites): SplatSites {
  const ids = Object.keys(sites) as SplatId[];
  return Object.fromEntries(ids.map((id) => [id, sites[id] ?? others[id]])) as SplatSites;
}

/** Which of some generations one is held against: its own source with type1 where that is there, or the one before. */
export function neighbourOf(gen: Generation, generations: readonly Generation[]): Generation | undefined {
  const at = generations.indexOf(gen);
  const classic = generations.find(({ version }) => version === gen.classic);
  return at > 0 ? (classic ?? generations[at - 1]) : undefined;
}

/** The differences that set a generation apart from its neighbour; none for the oldest. */
export function newIn(gen: Generation): KernelDifference[] {
  const before = neighbourOf(gen, GENERATIONS);
  return before ? differencesBetween(before, gen) : [];
}
