/** A bug of a kernel generation itself (not the BUG_ON): the answer is the kernel's, an advisory says so. */
interface KernelBugNote {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  /** Recordings that show it. */
  readonly scenarios: readonly string[];
}

/** Where a user reads about one. */
export const KERNEL_BUGS_PAGE = 'docs/kernels.md';

/** The bugs this host reproduces, by id; each is a section of docs/kernels.md. */
export const KERNEL_BUGS = {
  'top-of-address-space': {
    id: 'top-of-address-space',
    title: 'A mapping that ends at 2^64 is lost',
    text:
      'Up to 6.17 a mapping that ends at 2^64 is accepted, but no look-up finds it again; it cannot be unmapped or ' +
      'pinned, overlap with it is not noticed, and as an ancestor in the tree it hides mappings below it.',
    scenarios: ['spec-19-top-twice', 'spec-21-top-root', 'spec-22-top-rotation', 'spec-24-across-top'],
  },
  'false-dirty-bits': {
    id: 'false-dirty-bits',
    title: 'False dirty bits beyond a mapping',
    text:
      'A dirty bitmap that is reported at an offset that is no multiple of 64 pages is shifted in place; what is ' +
      'shifted past its end is never cleared and shows up in later reports as dirty pages that do not exist.',
    scenarios: ['spec-52-false-dirty-3', 'spec-52b-false-dirty-two-65'],
  },
  'callback-deadlock': {
    id: 'callback-deadlock',
    title: 'Deadlock between a callback and whoever needs its lock',
    text:
      'From 6.0 on, opening or closing a device, or unmapping another pinned mapping, while a dma_unmap callback ' +
      'runs takes iommu->lock and waits for the device list’s; the callback’s unpin then waits for iommu->lock, ' +
      'and neither task ever returns.',
    scenarios: ['conc-00001', 'conc-00004', 'conc-00010'],
  },
  'success-when-bisected': {
    id: 'success-when-bisected',
    title: 'Success although the range bisects a mapping',
    text:
      'When a map made during a callback bisects the range that is being unmapped, the unmap answers success with ' +
      'the size removed so far, and leaves the rest mapped.',
    scenarios: [],
  },
  'negative-bitmap-index': {
    id: 'negative-bitmap-index',
    title: 'A misaligned pin writes outside the dirty bitmap',
    text:
      'A pin at an offset that starts below the mapping it lands in has a negative index in the dirty bitmap: the ' +
      'kernel reads or writes far outside it, and may crash. Here nothing is written.',
    scenarios: [],
  },
  'gvt-opened-twice': {
    id: 'gvt-opened-twice',
    title: 'A second file of an open vGPU takes what the first has',
    text:
      'Up to 5.14 mdev calls the driver for each device file. GVT-g of 5.10 refuses the second (EEXIST), and undoes what ' +
      'the first has done: its notifiers are unregistered and its group is put (intel_vgpu_open in gvt/kvmgt.c). It is ' +
      'told of no unmap any more, cannot pin, and cannot unpin what it has; closing the first file then crashes the ' +
      'kernel (a NULL group), which is not emulated.',
    scenarios: [],
  },
  'gvt-reset-keeps-2m': {
    id: 'gvt-reset-keeps-2m',
    title: 'VFIO_DEVICE_RESET of a vGPU leaves pages of 2 MiB pinned',
    text:
      'When GVT-g clears the shadow page tables (ppgtt_invalidate_spt in gvt/gtt.c, in all four kernels) it releases ' +
      'every page of 4 KiB and passes over those of 2 MiB: no page table has them any more, and they stay pinned until ' +
      'they are unmapped or the vGPU is closed.',
    scenarios: [],
  },
  'gvt-walks-everything': {
    id: 'gvt-walks-everything',
    title: 'GVT-g looks for each page frame of the range in turn',
    text:
      'intel_vgpu_dma_unmap (gvt/kvmgt.c) searches its cache once for every page of the range. Where iommufd provides ' +
      'the container the callback after close has the range 0 to 2^64-1: 2^52 searches under cache_lock, so that the ' +
      'close of a vGPU does not return for months. Here it returns.',
    scenarios: [],
  },
} as const satisfies Record<string, KernelBugNote>;

/** Ids of the bugs. */
export type KernelBugId = keyof typeof KERNEL_BUGS;
