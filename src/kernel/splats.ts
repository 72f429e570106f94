import { DRIVER_SPLATS, PROPOSAL_SPLATS } from './driver-splats.ts';

/** What kind of line the kernel prints. DEADLOCK is this host's own: the kernel would just hang. */
export type SplatKind = 'WARN_ON' | 'WARN_ON_ONCE' | 'BUG_ON' | 'PR_WARN' | 'DEADLOCK';

/** One place in the kernel that can report, and what follows when it does. */
export interface SplatSite {
  readonly kind: SplatKind;
  readonly function: string;
  readonly condition: string;
  readonly file: string;
  readonly line: number;
  /** What the kernel does next. */
  readonly effect: string;
}

/** A splat as a call's `log` shows it. */
export interface WarnEntry {
  kind: 'WARN_ON' | 'WARN_ON_ONCE' | 'BUG_ON';
  function: string;
  condition: string;
  file: string;
  line: number;
}
export interface PrWarnEntry {
  kind: 'PR_WARN';
  text: string;
}
/** A lock cycle: every task in it, with what it holds and what it waits for. */
export interface DeadlockEntry {
  kind: 'DEADLOCK';
  function: string;
  condition: string;
  tasks: { call: string; device?: string; holds: string[]; waitsFor: string }[];
}
export type LogEntry = WarnEntry | PrWarnEntry | DeadlockEntry;

/** A pin that is in the way of an unmap, for the log line of a splat. */
export interface LeftoverPin {
  iova: bigint;
  pfn: number;
  refCount: number;
  /** Holders by device id and how many references each has. */
  devices: { device: string; count: number }[];
}

/** What a splat is about, beyond what the kernel prints. */
export interface SplatDetails {
  container?: string | undefined;
  device?: string | undefined;
  /** Bytes. */
  iova?: bigint;
  size?: bigint;
  attempt?: number;
  /** The pins that were left (the first ones, when there are many). */
  pins?: LeftoverPin[];
  /** How many pins were left in all. */
  pinCount?: number;
}

/** Something the kernel printed, and what it was about. */
export interface SplatEvent {
  readonly entry: LogEntry;
  readonly details: SplatDetails;
}

const TYPE1 = 'drivers/vfio/vfio_iommu_type1.c';
const CONTAINER = 'drivers/vfio/container.c';
const MAIN = 'drivers/vfio/vfio_main.c';

/**
 * Every splat of Linux 6.1.192 that a caller can reach here, by the id of spec section 4. Those of 4.1 and
 * 4.2 that need a faulty IOMMU driver, a page size above 4 KiB or a bug of the backend have no path to them in
 * this host and are listed in docs/splats.md with the reason. The drivers' own are in driver-splats.ts.
 */
export const SPLATS_6_1 = {
  ...DRIVER_SPLATS,
  ...PROPOSAL_SPLATS,
  B1: {
    kind: 'BUG_ON',
    function: 'vfio_dma_do_unmap',
    condition: '++retries > 10',
    file: TYPE1,
    line: 1481,
    effect: 'the caller is killed holding iommu->lock; the container hangs from then on',
  },
  W1: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_iommu_type1_pin_pages',
    condition: 'iommu->vaddr_invalid_count',
    file: TYPE1,
    line: 883,
    effect: 'EBUSY',
  },
  W2: {
    kind: 'WARN_ON',
    function: 'vfio_iommu_type1_unpin_pages',
    condition: '!iommu->v2',
    file: TYPE1,
    line: 1004,
    effect: 'nothing is unpinned',
  },
  W3: {
    kind: 'WARN_ON',
    function: 'vfio_iommu_type1_unpin_pages',
    condition: 'i != npage',
    file: TYPE1,
    line: 1023,
    effect: 'the pages before the first hole were unpinned, the rest were not looked at',
  },
  W6: {
    kind: 'WARN_ON',
    function: 'vfio_remove_dma',
    condition: '!RB_EMPTY_ROOT(&dma->pfn_list)',
    file: TYPE1,
    line: 1203,
    effect: 'the mapping is freed; its pins and their locked_vm leak',
  },
  W15: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_iommu_type1_dma_rw',
    condition: 'iommu->vaddr_invalid_count',
    file: TYPE1,
    line: 3228,
    effect: 'EBUSY',
  },
  C1: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_assert_device_open',
    condition: '!READ_ONCE(device->open_count)',
    file: MAIN,
    line: 747,
    effect: 'the caller returns EINVAL, or nothing',
  },
  'C1-unpin': {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_assert_device_open',
    condition: '!READ_ONCE(device->open_count)',
    file: MAIN,
    line: 747,
    effect: 'unpin returns; where the compiler inlines the check, each caller has a flag of its own',
  },
  'C1-rw': {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_assert_device_open',
    condition: '!READ_ONCE(device->open_count)',
    file: MAIN,
    line: 747,
    effect: 'dma_rw returns EINVAL; as for unpin',
  },
  C2: {
    kind: 'WARN_ON',
    function: 'vfio_unpin_pages',
    condition: 'npage <= 0 || npage > VFIO_PIN_PAGES_MAX_ENTRIES',
    file: CONTAINER,
    line: 595,
    effect: 'nothing is unpinned',
  },
  C3: {
    kind: 'WARN_ON',
    function: 'vfio_unpin_pages',
    condition: '!vfio_assert_device_open(device)',
    file: CONTAINER,
    line: 598,
    effect: 'nothing is unpinned',
  },
  C9: {
    kind: 'WARN_ON',
    function: 'vfio_pin_pages',
    condition: '!vfio_assert_device_open(device)',
    file: MAIN,
    line: 0,
    effect: 'EINVAL (from 6.2)',
  },
  C10: {
    kind: 'WARN_ON',
    function: 'vfio_unpin_pages',
    condition: '!device->ops->dma_unmap',
    file: MAIN,
    line: 0,
    effect: 'nothing is unpinned (from 6.2)',
  },
  L1: {
    kind: 'PR_WARN',
    function: 'vfio_pin_pages_remote',
    condition: 'locked_vm + pages > RLIMIT_MEMLOCK, in map or replay, without CAP_IPC_LOCK',
    file: TYPE1,
    line: 740,
    effect: 'ENOMEM; the map or attach is undone',
  },
  L2: {
    kind: 'PR_WARN',
    function: 'vfio_pin_page_external',
    condition: 'locked_vm + 1 > RLIMIT_MEMLOCK, in pin, without CAP_IPC_LOCK',
    file: TYPE1,
    line: 831,
    effect: 'ENOMEM; the pages of this call already pinned are released',
  },
} as const satisfies Record<string, SplatSite>;

/** Ids of the splats in the catalogue. */
export type SplatId = keyof typeof SPLATS_6_1;

/** Splats of `base` at other lines. */
export function sitesAt(
  lines: Partial<Record<SplatId, number>>,
  base: SplatCatalogue = SPLATS_6_1,
): Partial<Record<SplatId, SplatSite>> {
  return Object.fromEntries(
    Object.entries(lines).map(([id, line]) => [id, { ...base[id as SplatId], line }]),
  );
}

/** The splats of one kernel generation. */
export type SplatCatalogue = Readonly<Record<SplatId, SplatSite>>;

/**
 * What pr_warn prints.
 *
 * @param limitBytes the limit that was met, bytes: L1 prints whole pages, L2 the rlimit itself. The
 *   recordings have the task's name and pid masked, and so has this
 */
export function prWarnText(id: 'L1' | 'L2', limitBytes: bigint): string {
  const task = id === 'L2' ? 'Task COMM (PID) ' : '';
  return `${SPLATS_6_1[id].function}: ${task}RLIMIT_MEMLOCK (${limitBytes}) exceeded`;
}
