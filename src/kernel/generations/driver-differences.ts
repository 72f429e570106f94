import type { KernelDifference } from './difference.ts';

const AP = ['drivers.vfio-ap'] as const;
const CCW = ['drivers.vfio-ccw'] as const;

/** What differs between the drivers of the kernels' trees. */
export const DRIVER_DIFFERENCES = [
  {
    id: 'vfio-ap-guest-needed',
    title: 'vfio-ap needs a guest to open',
    text:
      'Up to 5.18 an AP matrix opens without a guest, and a second one on the same guest: its guest’s PQAP finds no queue. ' +
      'From 5.19 on the first is EINVAL, the second EPERM.',
    traits: AP,
    since: '6.0',
    scenarios: ['no-guest', 'guest-twice'],
  },
  {
    id: 'vfio-ap-aqic-unread',
    title: 'vfio-ap reads what AQIC answers',
    text:
      '5.10 looks for AQIC’s status in the wrong half of GR1 (ap_aqic): whatever the hardware says, an enable is success, ' +
      'saved and pinned, and a disable is never tried again. Later kernels read it.',
    traits: AP,
    since: '6.0',
    scenarios: ['enable-01', 'enable-07'],
  },
  {
    id: 'vfio-ap-isc',
    title: 'vfio-ap and an interruption subclass that KVM refuses',
    text:
      '5.10 does not look whether KVM has registered the subclass, and asks the hardware. 6.0 and 6.1 unpin and answer 08 ' +
      '(invalid GISA), from 6.2 on 06 (invalid address).',
    traits: AP,
    since: ['6.0', '6.6'],
    scenarios: ['gisc'],
  },
  {
    id: 'vfio-ap-exact-byte',
    title: 'vfio-ap pins the byte, not its page',
    text:
      'Up to 5.19 the page of the notification byte is pinned; from 6.0 on the byte’s own address is the key, so that an ' +
      'unpin must name it exactly.',
    traits: AP,
    since: '6.0',
    scenarios: ['nib-10001-unmap', 'nib-10008-unmap'],
  },
  {
    id: 'vfio-ap-matrix',
    title: 'vfio-ap’s matrix changes beside a guest',
    text:
      'Up to 5.18 an adapter or domain cannot be assigned or unassigned while a guest uses the matrix (EBUSY). From 5.19 on it ' +
      'can, and the guest gets it, or loses it, at once: hot plug.',
    traits: AP,
    since: '6.0',
    scenarios: ['unbind-enable-unassign'],
  },
  {
    id: 'vfio-ap-bus-scan',
    title: 'vfio-ap is called when the AP bus scans',
    text:
      'On 5.10 nobody can ask for a scan (ENOENT), and the driver is not called for one. Later it resets queues that are gone: ' +
      'in a work on 6.1, on 6.12 as the caller, and gives their pages back without the hardware.',
    traits: AP,
    since: ['6.0', '6.6'],
    scenarios: ['host-adapter-gone'],
  },
  {
    id: 'vfio-ap-filter',
    title: 'A queue that vfio-ap filters from its guest is reset',
    text:
      'A queue whose last reset failed is hidden from the guest with its adapter at the next assign. Up to 6.1 its interrupts ' +
      'stay on, and an unassign then leaks its pin; later kernels reset what is filtered.',
    traits: AP,
    since: '6.6',
    scenarios: ['failed-01-filter', 'failed-09-filter'],
  },
  {
    id: 'vfio-ap-queues',
    title: 'Unbinding one queue of an adapter',
    text:
      'Up to 6.1 vfio-ap resets the queue that is unbound. Later the guest loses the whole adapter, so every queue of it is ' +
      'reset, and another one’s interrupt is lost.',
    traits: AP,
    since: '6.6',
    scenarios: ['unbind-other-on'],
  },
  {
    id: 'vfio-ap-reset-answers',
    title: 'What vfio-ap makes of a RESET’s answers',
    text:
      'Up to 6.1 the caller waits for each queue in turn, and one that stays busy is EBUSY. Later each queue is zeroized first ' +
      'and a work looks at it every 20 ms: busy is waited for without limit, an unknown answer to TAPQ is a warning and the ' +
      'pin stays although RESET succeeds.',
    traits: AP,
    since: '6.6',
    scenarios: ['reset-long', 'verify-00-then-06'],
  },
  {
    id: 'vfio-ap-order',
    title: 'vfio-ap gives back the subclass before the page',
    text: 'Up to 6.1 an enable that fails unpins first and then gives the subclass back; later it is the other way round.',
    traits: AP,
    since: '6.6',
    scenarios: ['enable-07'],
  },
  {
    id: 'vfio-ap-callback',
    title: 'vfio-ap looks at its queues when told of an unmap',
    text:
      'Up to 6.1 it unpins the first page, or byte, of the range, whether it holds it or not; any other ends in the BUG. From ' +
      '6.2 on it disables every queue whose byte is in the range.',
    traits: AP,
    since: '6.6',
    scenarios: ['nib-14008-unmap', 'unmap-0-two'],
  },
  {
    id: 'vfio-ap-request',
    title: 'vfio-ap takes the queues from the guest when its device is to be removed',
    text: 'From 6.18 at the latest the guest’s masks are cleared while userspace is asked to release the device (vfio_ap_mdev_request).',
    traits: AP,
    since: '6.18',
    shownIn: 'Shows in the `guests` of a trace (`GET /v1/trace`): the masks are empty.',
    scenarios: [],
  },
  {
    id: 'vfio-ccw-callback',
    title: 'vfio-ccw is notified of unmaps by callback, and looks at the whole range',
    text:
      'On 5.10 vfio-ccw looks at the first page of an unmapped range only, and a RESET that takes the end of a program ' +
      'away from its interrupt leaves the pages pinned and every later start EBUSY; an open does not touch the state, ' +
      'so that a device that was closed is EIO until a RESET. Later it looks at every page of the range, a RESET and ' +
      'a close give the pages back, an open enables the subchannel.',
    traits: CCW,
    since: '6.0',
    scenarios: ['unmap-middle', 'reset-after-end', 'close-open', 'inject-disable-eio-unmap'],
  },
  {
    id: 'vfio-ccw-notoper',
    title: 'vfio-ccw gives the pages of a dead subchannel back later',
    text:
      'Where disabling the subchannel fails, 6.0 gives the pages back at once (fsm_notoper); later a workqueue does, which is ' +
      'hardly ever in time for the eleven rounds of an unmap.',
    traits: CCW,
    since: '6.1',
    scenarios: ['inject-disable-eio-unmap'],
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
    title: 'GVT-g is notified of unmaps by callback, and no longer of its guest',
    text:
      'Up to 5.19 GVT-g unpins page by page and warns where an unpin does not answer 1; when its guest goes while its ' +
      'file is open it releases everything; a second file is EEXIST. From 6.0 on it unpins all pages of an entry in ' +
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
] as const satisfies readonly KernelDifference[];

/** Ids of them. */
export type DriverDifferenceId = (typeof DRIVER_DIFFERENCES)[number]['id'];
