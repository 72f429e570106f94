import { IOMMUFD_SPLATS } from './iommufd/splats.ts';
import type { SplatReport } from './splat-report.ts';
import type { Task } from './task.ts';
import type { Device } from './vfio/device.ts';

/** What kind of line the kernel prints. DEADLOCK is this host's own: the kernel would just hang. */
type SplatKind = 'WARN_ON' | 'WARN_ON_ONCE' | 'BUG_ON' | PrintedLevel | 'DEADLOCK';

/** A line without a trace, by its level: pr_err, pr_warn, pr_notice or pr_info. */
export type PrintedLevel = 'PR_ERR' | 'PR_WARN' | 'PR_NOTICE' | 'PR_INFO';

/** What a splat says, wherever a kernel has it. */
export interface SplatNote {
  readonly kind: SplatKind;
  readonly condition: string;
  /** What the kernel does next. */
  readonly effect: string;
  /** What a caller does to get there. */
  readonly reachedBy: string;
}

/** Where one kernel has it. */
export interface SplatSite {
  readonly function: string;
  /** Path in the kernel's tree. */
  readonly file: string;
  /** Null for what prints no line. */
  readonly line: number | null;
  /** The module that the file is built into. */
  readonly module: string;
}

/** A splat of one kernel: what, where, and the id it goes by. A driver model brings its own. */
export interface Splat extends SplatNote, SplatSite {
  readonly id: string;
}

/** A splat as a call's `log` shows it. */
export interface WarnEntry {
  kind: 'WARN_ON' | 'WARN_ON_ONCE' | 'BUG_ON';
  function: string;
  condition: string;
  file: string;
  line: number;
}
interface PrWarnEntry {
  kind: PrintedLevel;
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
  /** Pages of a pin that has several (iommufd). */
  npage?: number;
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

/** Something the kernel printed: which splat it was, what it was about, and where it came from. */
export interface SplatEvent {
  /** Of the catalogue or of a driver model; `DEADLOCK`; `driver` for what a driver says in words of its own. */
  readonly id: string;
  readonly entry: LogEntry;
  readonly details: SplatDetails;
  /** Function and module that printed it; no function for what a driver says in words of its own. */
  readonly function: string;
  readonly module: string;
  /** The device in whose dma_unmap callback it was printed. */
  readonly callback: Device | null;
  /** The tasks of a DEADLOCK, in the order of its entry. */
  readonly tasks?: readonly Task[];
  /** What splatReport made of it, once somebody has asked: journal, trace and answer share it. */
  report: SplatReport | null;
}

/**
 * The splats of VFIO that a caller can reach here, by the ids that answers, metrics and docs/splats.md use; where
 * each kernel has them is in its generation. The drivers' own are with the driver models.
 */
export const SPLATS = {
  B1: {
    kind: 'BUG_ON',
    condition: '++retries > 10',
    effect: 'the caller is killed holding iommu->lock; the container hangs from then on',
    reachedBy: 'an unmap that finds a mapping pinned at its twelfth visit',
  },
  W1: {
    kind: 'WARN_ON_ONCE',
    condition: 'iommu->vaddr_invalid_count',
    effect: 'EBUSY',
    reachedBy: 'a vfio-pci device that pins while a vaddr is invalid',
  },
  W2: {
    kind: 'WARN_ON',
    condition: '!iommu->v2',
    effect: 'nothing is unpinned',
    reachedBy: 'an unpin in a v1 container',
  },
  W3: {
    kind: 'WARN_ON',
    condition: 'i != npage',
    effect: 'the pages before the first hole were unpinned, the rest were not looked at',
    reachedBy: 'an unpin that meets a page without a mapping',
  },
  W6: {
    kind: 'WARN_ON',
    condition: '!RB_EMPTY_ROOT(&dma->pfn_list)',
    effect: 'the mapping is freed; its pins and their locked_vm leak',
    reachedBy: 'the last group leaves while pins remain',
  },
  W15: {
    kind: 'WARN_ON_ONCE',
    condition: 'iommu->vaddr_invalid_count',
    effect: 'EBUSY',
    reachedBy: 'a vfio-pci device that reads or writes while a vaddr is invalid',
  },
  C1: {
    kind: 'WARN_ON_ONCE',
    condition: '!READ_ONCE(device->open_count)',
    effect: 'the caller returns EINVAL, or nothing',
    reachedBy: 'pin, unpin or dma_rw on a closed device',
  },
  C2: {
    kind: 'WARN_ON',
    condition: 'npage <= 0 || npage > VFIO_PIN_PAGES_MAX_ENTRIES',
    effect: 'nothing is unpinned',
    reachedBy: 'an unpin with a bad count',
  },
  C3: {
    kind: 'WARN_ON',
    condition: '!vfio_assert_device_open(device)',
    effect: 'nothing is unpinned',
    reachedBy: 'an unpin on a closed device',
  },
  C9: {
    kind: 'WARN_ON',
    condition: '!vfio_assert_device_open(device)',
    effect: 'EINVAL',
    reachedBy: 'a pin on a closed device',
  },
  C10: {
    kind: 'WARN_ON',
    condition: '!device->ops->dma_unmap',
    effect: 'nothing is unpinned',
    reachedBy: 'an unpin by a driver without dma_unmap',
  },
  C11: {
    kind: 'BUG_ON',
    condition: 'vfio_group_nb_verify(group, dev)',
    effect: 'the task that binds is dead, and the device stays locked',
    reachedBy: 'a host driver that is bound to a device whose group is in use',
  },
  N1: {
    kind: 'WARN_ON',
    condition: 'double register detected',
    effect: 'it stays registered once',
    reachedBy: 'a second open of a device whose driver registers its notifiers with each file',
  },
  L1: {
    kind: 'PR_WARN',
    condition: 'locked_vm + pages > RLIMIT_MEMLOCK, in map or replay, without CAP_IPC_LOCK',
    effect: 'ENOMEM; the map or attach is undone',
    reachedBy: 'RLIMIT_MEMLOCK at map or attach',
  },
  L2: {
    kind: 'PR_WARN',
    condition: 'locked_vm + 1 > RLIMIT_MEMLOCK, in pin, without CAP_IPC_LOCK',
    effect: 'ENOMEM; the pages of this call already pinned are released',
    reachedBy: 'RLIMIT_MEMLOCK at pin',
  },
  ...IOMMUFD_SPLATS,
} as const satisfies Record<string, SplatNote>;

/** Ids of the splats in the catalogue. */
export type SplatId = keyof typeof SPLATS;

/** Where a kernel has each of them; null: it does not have it. */
export type SplatSites = Readonly<Record<SplatId, SplatSite | null>>;

/** What once-only warnings have a flag for each of several callers; their keys are `id-caller`. */
export const ONCE_CALLERS: Partial<Record<SplatId, readonly string[]>> = { C1: ['unpin', 'rw'] };

/**
 * What was proposed in the thread on the callback's contract. These are in no kernel: a device or the host has to
 * ask for them (`bugOnInvalidation`, `warnOnPinnedUnmap`), and they have no line.
 */
export const PROPOSALS = {
  P1: {
    id: 'P1',
    kind: 'BUG_ON',
    function: 'dma_unmap',
    condition: '1',
    file: 'proposal',
    line: 0,
    module: 'vfio',
    effect: 'the caller is killed in the callback, holding device_list_lock but not iommu->lock',
    reachedBy: 'a callback to a device with `bugOnInvalidation`',
  },
  P2: {
    id: 'P2',
    kind: 'WARN_ON',
    function: 'vfio_dma_do_unmap',
    condition: '!RB_EMPTY_ROOT(&dma->pfn_list)',
    file: 'proposal',
    line: 0,
    module: 'vfio_iommu_type1',
    effect: 'the mapping is visited again, as without the warning',
    reachedBy: 'a round that leaves pins, with the parameter `warnOnPinnedUnmap`',
  },
} as const satisfies Record<string, Splat>;

/**
 * What pr_warn prints.
 *
 * @param limitBytes the limit that was met, bytes: L1 prints whole pages, L2 the rlimit itself. The recordings
 *   have the task's name and pid masked, and so has this
 */
export function prWarnText(id: 'L1' | 'L2', site: SplatSite, limitBytes: bigint): string {
  const task = id === 'L2' ? `Task ${MASKED_TASK} ` : '';
  return `${site.function}: ${task}RLIMIT_MEMLOCK (${limitBytes}) exceeded`;
}

/** What stands for a task's name and pid in the text of a pr_warn. */
export const MASKED_TASK = 'COMM (PID)';
/** The same as it stands in other lines. */
export const MASKED_USER = 'COMM:PID';
