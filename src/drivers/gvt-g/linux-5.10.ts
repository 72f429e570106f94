// GVT-g as drivers/gpu/drm/i915/gvt/kvmgt.c of Linux 5.10.262 has it.
import type { DriverApi } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { addressOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { UNPINNED_NOTHING } from './splats.ts';
import { Vgpu } from './vgpu.ts';

/** The notifier era: pages are unpinned one by one, and each answer is looked at. */
export class Vgpu510 extends Vgpu {
  override readonly dmaUnmapFunction = 'intel_vgpu_iommu_notifier';
  protected readonly pinUnattached = 'ENODEV';

  /** intel_vgpu_open, kvmgt_guest_init. */
  *openDevice(): KernelStep<Errno | null> {
    this.attached = true;
    return null;
  }

  /** __intel_vgpu_release, kvmgt_guest_exit. */
  *closeDevice(api: DriverApi): KernelStep<void> {
    yield* this.destroyCache(api);
    this.attached = false;
  }

  /** intel_vgpu_remove. */
  *remove(api: DriverApi): KernelStep<Errno | null> {
    return this.attached ? api.refuse('EBUSY', 'the vGPU is open') : null;
  }

  /** A warning for each page of which vfio_unpin_pages does not say that it walked 1; from 6.0 on it says nothing. */
  protected *unpin(api: DriverApi, gfn: number, pages: number): KernelStep<void> {
    for (let i = 0; i < pages; i++) {
      const walked = yield* api.unpinPages(BigInt.asUintN(64, addressOf(gfn + i)), 1);
      if (walked !== 1 && walked !== null) api.warn(UNPINNED_NOTHING);
    }
  }
}
