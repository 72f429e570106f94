import type { AdvisoryKind } from '../../kernel/advisories.ts';

/** What arguments mean that many calls have. */
export const ARGUMENTS: Readonly<Record<string, string>> = {
  iova: 'address in the container, bytes',
  vaddr: 'address in the process, bytes',
  size: 'bytes',
  length: 'bytes',
  npage: 'pages of 4 KiB',
  flags: 'flag bits, by name or raw',
  prot: 'what the device may do with the memory',
  container: 'id of a container',
  device: 'id of a device',
  process: 'id of a process',
  group: 'id of the group; one of its own where it is left out',
  driver: 'see [drivers](#drivers)',
  data: 'bytes',
  fill: 'one byte’s value, `length` times, in place of `data`',
  byte: 'the value',
  pageSize: 'of a dirty bitmap’s bit, bytes',
  apqn: 'number of a queue: adapter times 256 plus domain',
  guest: 'a guest of KVM',
};

/** What each value of a synthetic driver’s `onDmaUnmap` does when an invalidation (iova, length) comes. */
export const ON_DMA_UNMAP: Readonly<Record<string, string>> = {
  ignore: 'nothing',
  'unpin-range': 'unpins each of its own pins in the range, lowest first: right',
  'unpin-one': 'unpins only the lowest such pin',
  'unpin-first-page': 'unpins the page at `iova`, whether it holds it or not',
  'reset-if-start-pinned': 'if it holds a pin in the page of `iova`, unpins everything it holds',
  'reset-if-overlap': 'if it holds any pin in the range, unpins everything it holds',
  'unpin-all-pages': 'unpins each page of the range, up to 512, held or not',
  'no-callback': 'the driver has no such operation at all',
};

/** What the options of drivers mean. */
export const DRIVER_OPTIONS: Readonly<Record<string, string>> = {
  onDmaUnmap: 'how it answers an invalidation: see below',
  ignoreFirst: 'with `unpin-range`: ignores its first n callbacks',
  unpinOnClose: 'unpins all it holds when it is closed; without it the pins leak',
  holdCallbacks:
    'its callbacks stop before they do anything, until `resume-callbacks`, which lets the held one go on and holds no more',
  bugOnInvalidation: 'a proposal of the thread: its dma_unmap is a BUG_ON(1)',
  variant:
    'the driver as it was in another kernel, or as it was first posted; the host kernel’s unless given',
  queues: 'the queues of its matrix',
  reads: 'how it reads its channel program: by pins or by dma-rw',
  workAfterCallbacks: 'its deferred work runs after so many callbacks',
  emptyUnpin: 'when the first page of a pin fails it unpins 0 pages, which warns',
  url: 'where callbacks are POSTed: see [webhooks](webhooks.md)',
  timeoutMs: 'deadline of one callback; 5000 unless given',
  secret: 'key of the signature',
  journalBodies: 'the bodies of its requests and answers are in the journal',
  openDevice: 'also called when it is first opened',
  closeDevice: 'also called when it is last closed',
};

/** What each advisory says. */
export const ADVISORIES: Readonly<Record<Exclude<AdvisoryKind, `KERNEL_BUG:${string}`>, string>> = {
  FOREIGN_UNPIN: 'a driver unpinned a page that only another driver holds',
  UNPIN_NOT_PINNED: 'a driver unpinned a page that nobody holds',
  PIN_LEAKED_AT_CLOSE: 'a device was closed and had not given its pins back',
  IGNORED_INVALIDATION: 'a callback returned with the driver’s own pins still in the range',
  START_ONLY_CHECK: 'a driver acted on the first page of the range only',
  MISALIGNED_PIN: 'a pin straddles a mapping’s start: the kernel computes an address outside it',
  USE_AFTER_UNPIN: 'a driver used a page after it had given it back',
  UNPIN_NOT_AS_PINNED: 'pages were given back otherwise than they were pinned (iommufd)',
  RANGE_CLOSED: 'an unmap has closed the range: nothing in it can be pinned or copied (iommufd)',
  CLOSE_WAITS: 'a close waits for a callback',
  UNPIN_REFUSED: 'an unpin was refused, and the pin is still there',
  UNMAPPED_NOTHING: 'an unmap succeeded and removed nothing: which mapping was in the way',
  IOMMU_LOST: 'the container lost its IOMMU with its last group',
  CHARGED_TWICE: 'a page counts twice against the limit of locked memory',
  NO_CALLBACK: 'an unmap met pins of a driver that has no callback',
};
