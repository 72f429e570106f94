// GVT-g as drivers/gpu/drm/i915/gvt/kvmgt.c of Linux 6.1.192 has it.
import type { DriverApi } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { addressOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { REMOVED_WHILE_OPEN } from './splats.ts';
import { Vgpu } from './vgpu.ts';

/** The callback era: all pages of an entry are unpinned in one call, also when (emptyUnpin) that is none: C2. */
export class Vgpu61 extends Vgpu {
  protected readonly pinUnattached: Errno = 'ENODEV';

  /** intel_vgpu_open_device. */
  *openDevice(api: DriverApi): KernelStep<Errno | null> {
    return this.attachGuest(api);
  }

  /** intel_vgpu_close_device. */
  *closeDevice(api: DriverApi): KernelStep<void> {
    yield* this.destroyCache(api);
    this.detach();
  }

  /** intel_vgpu_remove: returns early, with a warning, while the vGPU is open; it stays registered. */
  *remove(api: DriverApi): KernelStep<Errno | null> {
    if (this.guest === null) return null;
    api.warn(REMOVED_WHILE_OPEN);
    return api.refuse('EBUSY', 'the vGPU is open, and stays registered');
  }

  /** gvt_unpin_guest_page. */
  protected unpin(api: DriverApi, gfn: number, pages: number): KernelStep<unknown> {
    return api.unpinPages(addressOf(gfn), pages);
  }
}
