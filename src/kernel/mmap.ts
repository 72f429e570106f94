import type { RegionKind } from '../../schemas/kinds.ts';
import { Budget } from '../budget.ts';
import type { EmulatedMemory } from './emulated-memory.ts';
import type { Errno } from './errno.ts';
import type { OpenFile } from './files.ts';
import type { Kernel } from './kernel.ts';
import { PROT_WRITE } from './memory.ts';
import { HUGE_PAGES, isNeverWritten } from './memory-region.ts';
import { BAR_PAGES } from './mm.ts';
import { PageStore } from './page-store.ts';
import { offsetInPage, PAGE_SIZE, pageOf } from './pages.ts';
import type { Process } from './process.ts';
import type { KernelStep, Task } from './task.ts';
import type { Device } from './vfio/device.ts';

const HUGE_SIZE = BigInt(HUGE_PAGES * PAGE_SIZE);
/** What the files are full of that are mapped. */
const FILE_BYTE = 0x5a;

/** What is mapped where; bytes. */
interface MmapArgs {
  readonly start: bigint;
  readonly size: bigint;
  readonly prot: number;
  readonly kind: RegionKind;
  /** Of a file: whether it was opened for writing, and mapped MAP_PRIVATE. */
  readonly openedForWrite: boolean;
  readonly isPrivate: boolean;
  /** Of a device: which, and from where in its BAR 0 on. */
  readonly device: Device | null;
  readonly offset: bigint;
}

/**
 * mmap with MAP_FIXED: new memory in the place of what was there.
 *
 * @returns EINVAL when misaligned (hugetlb: to 2 MiB), empty, beyond 2^64 or beyond the BAR; EACCES for a shared file
 *   that was not opened for it; EBADF for a device that the process has not got open; ENOMEM beyond the number of regions
 */
export function* mmap(
  task: Task,
  process: Process,
  memory: EmulatedMemory,
  args: MmapArgs,
): KernelStep<Errno | null> {
  const { start, prot, kind } = args;
  const huge = kind === 'hugetlb';
  if (huge && start % HUGE_SIZE !== 0n) {
    return task.refuse('EINVAL', 'memory of huge pages begins at a multiple of 2 MiB');
  }
  const size = huge ? ((args.size + HUGE_SIZE - 1n) / HUGE_SIZE) * HUGE_SIZE : args.size;
  const region = { prot, kind, neverWritten: isNeverWritten(kind, prot) };
  const first = pageOf(start);
  const before = memory.deviceFiles();
  let errno: Errno | null;
  if (kind === 'device') {
    const bar = mapBar(task, process, args);
    if (typeof bar === 'string') return bar;
    const base = first - pageOf(args.offset);
    errno = memory.map(start, size, {
      ...region,
      bar,
      store: barOf(task.kernel, bar.device),
      base,
      isShared: true,
    });
    if (!errno && !before.has(bar.file)) bar.file.users++;
  } else if (kind === 'shared') {
    errno = memory.map(start, size, { ...region, store: memory.newStore(), base: first, isShared: true });
  } else if (kind === 'file') {
    const readOnlyFile = !args.isPrivate && !args.openedForWrite;
    if (readOnlyFile && prot & PROT_WRITE) {
      return task.refuse('EACCES', 'the file was not opened for writing');
    }
    const store = memory.newStore(FILE_BYTE);
    errno = memory.map(start, size, {
      ...region,
      store,
      base: first,
      isShared: !args.isPrivate,
      readOnlyFile,
    });
  } else errno = memory.map(start, size, region);
  if (errno) return task.refuse(errno, wrongRange(errno));
  yield* putFiles(task, before, memory);
  return null;
}

/** vfio_pci_core_mmap: the process's open file of the device, which the mapping will hold. */
function mapBar(task: Task, process: Process, { device, offset, size }: MmapArgs) {
  const file = device!.files.findLast((one) => process.files.has(one));
  if (!file) return task.refuse('EBADF', `${process.id} has not got ${device!.id} open`);
  if (device!.kind === 'mdev')
    return task.refuse('EINVAL', `${device!.id} is an mdev: its driver maps nothing`);
  if (offsetInPage(offset) !== 0 || pageOf(offset) + pageOf(size) > BAR_PAGES) {
    return task.refuse('EINVAL', `offset and size reach beyond the BAR of ${device!.id}, 1 MiB`);
  }
  return { device: device!, file };
}

/** The contents of a device's BAR 0. */
export function barOf({ pages }: Kernel, device: Device): PageStore {
  device.bar ??= new PageStore(new Budget(BAR_PAGES, pages));
  return device.bar;
}

function wrongRange(errno: Errno): string {
  if (errno === 'ENOMEM') return 'the process has as many memory regions as it may';
  return 'start and size are not multiples of 4096, or reach beyond 2^64, or cut a huge page';
}

/** munmap. What EmulatedMemory.unmap says; the last mapping of a device's memory may close the device. */
export function* munmap(
  task: Task,
  memory: EmulatedMemory,
  start: bigint,
  size: bigint,
): KernelStep<Errno | null> {
  const before = memory.deviceFiles();
  const errno = memory.unmap(start, size);
  if (errno) return task.refuse(errno, wrongRange(errno));
  yield* putFiles(task, before, memory);
  return null;
}

/** A memory holds the file of each device whose memory it has mapped: those it had, and has no more, are put. */
function* putFiles(task: Task, before: ReadonlySet<OpenFile>, memory: EmulatedMemory): KernelStep<void> {
  const left = memory.deviceFiles();
  for (const file of before) if (!left.has(file)) yield* file.put(task);
}
