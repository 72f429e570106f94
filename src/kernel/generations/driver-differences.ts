import type { KernelDifference } from './difference.ts';

/** What differs between the drivers of the kernels' trees. */
export const DRIVER_DIFFERENCES: readonly KernelDifference[] = [
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
    since: '6.0',
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
    since: '6.6',
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
    since: '6.0',
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
    since: '6.6',
    scenarios: [],
  },
];
