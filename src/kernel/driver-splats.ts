import type { SplatSite } from './splats.ts';

const AP = 'drivers/s390/crypto/vfio_ap_ops.c';

/**
 * The warnings of the drivers that are modelled here (spec section 4.3; Linux 6.1.192). A4 is not among them:
 * no sequence of calls reaches it. The conditions of A1, A2 and A5 to A10 are a response code of the hardware,
 * which ap-inject chooses.
 */
export const DRIVER_SPLATS = {
  A1: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_wait_for_irqclear',
    condition: 'TAPQ answered not available, deconfigured, checkstopped or an unknown code',
    file: AP,
    line: 255,
    effect: 'the driver no longer waits for the interrupt bit to clear',
  },
  A2: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_wait_for_irqclear',
    condition: 'the interrupt bit is still set after 5 TAPQ',
    file: AP,
    line: 261,
    effect: 'the driver goes on as if it were clear',
  },
  A3: {
    kind: 'WARN_ON',
    function: 'vfio_ap_free_aqic_resources',
    condition: '!(q->matrix_mdev && q->matrix_mdev->kvm)',
    file: AP,
    line: 278,
    effect: 'the interruption subclass stays registered',
  },
  A5: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_irq_disable',
    condition: 'AQIC (disable) answered that the queue is not operational',
    file: AP,
    line: 329,
    effect: 'the pin is released all the same',
  },
  A6: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_irq_disable',
    condition: 'AQIC (disable) answered busy or reset in progress 6 times',
    file: AP,
    line: 335,
    effect: 'the pin is released all the same',
  },
  A7: {
    kind: 'WARN_ON',
    function: 'vfio_ap_mdev_reset_queue',
    condition: 'ZAPQ answered an unknown code',
    file: AP,
    line: 1641,
    effect: 'EIO; the pin stays',
  },
  A8: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_mdev_reset_queue',
    condition: 'status.irq_enabled',
    file: AP,
    line: 1633,
    effect: 'EBUSY; the pin is released',
  },
  A9: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_mdev_reset_queue',
    condition: 'retry2 <= 0',
    file: AP,
    line: 1655,
    effect: 'the reset counts as done',
  },
  A10: {
    kind: 'PR_WARN',
    function: 'vfio_ap_irq_enable',
    condition: 'AQIC (enable) answered neither normal nor otherwise changed',
    file: AP,
    line: 458,
    effect: 'interrupts are disabled; the new pin leaks',
  },
  G5: {
    kind: 'WARN_ON',
    function: 'gvt_unpin_guest_page',
    condition: 'ret != 1',
    file: 'drivers/gpu/drm/i915/gvt/kvmgt.c',
    line: 166,
    effect: 'the next page is unpinned (up to 5.19)',
  },
  G2: {
    kind: 'WARN_ON_ONCE',
    function: 'intel_vgpu_remove',
    condition: 'vgpu->attached',
    file: 'drivers/gpu/drm/i915/gvt/kvmgt.c',
    line: 1507,
    effect: 'the device is not unregistered',
  },
} as const satisfies Record<string, SplatSite>;

/**
 * What was proposed in the thread on the callback's contract. These are in no kernel: a device or the host has
 * to ask for them (`bugOnInvalidation`, `warnOnPinnedUnmap`), and they have no line.
 */
export const PROPOSAL_SPLATS = {
  P1: {
    kind: 'BUG_ON',
    function: 'dma_unmap',
    condition: '1',
    file: 'proposal',
    line: 0,
    effect: 'the caller is killed in the callback, holding device_list_lock but not iommu->lock',
  },
  P2: {
    kind: 'WARN_ON',
    function: 'vfio_dma_do_unmap',
    condition: '!RB_EMPTY_ROOT(&dma->pfn_list)',
    file: 'proposal',
    line: 0,
    effect: 'the mapping is visited again, as without the warning',
  },
} as const satisfies Record<string, SplatSite>;
