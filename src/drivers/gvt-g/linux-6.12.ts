// GVT-g as drivers/gpu/drm/i915/gvt/kvmgt.c of Linux 6.12.117 and 7.2.12 has it.
import type { DriverApi } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { addressOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { Vgpu } from './vgpu.ts';

/** The page tracking of 6.6 and later, which asks KVM for the guest. intel_vgpu_remove leaves waiting to VFIO. */
export class Vgpu612 extends Vgpu {
  protected readonly pinUnattached = 'EINVAL';

  /** intel_vgpu_open_device. */
  *openDevice(api: DriverApi): KernelStep<Errno | null> {
    return this.attachGuest(api);
  }

  /** intel_vgpu_close_device: detached first, so that no page is mapped any more while the cache goes. */
  *closeDevice(api: DriverApi): KernelStep<void> {
    this.detach();
    yield* this.destroyCache(api);
  }

  /** gvt_unpin_guest_page. */
  protected unpin(api: DriverApi, gfn: number, pages: number): KernelStep<unknown> {
    return api.unpinPages(addressOf(gfn), pages);
  }
}
