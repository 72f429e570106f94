// GVT-g as drivers/gpu/drm/i915/gvt/kvmgt.c of Linux 5.10.262 has it.
import type { GvtGState } from '../../../schemas/drivers/gvt-g.ts';
import type { DriverApi } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { GuestId } from '../../kernel/guest.ts';
import { addressOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import type { ListOf } from '../../kernel/vfio/container.ts';
import { UNPINNED_NOTHING } from './splats.ts';
import { Vgpu } from './vgpu.ts';

/** How far the vGPU's release work is to come by itself: to be run later, or begun and not ended. */
type Release = 'late' | 'begun';

/**
 * The notifier era: the driver registers notifiers for unmaps and for its guest, and without a guest it releases
 * everything, while its file is open. Pages are unpinned one by one, and each answer is looked at.
 */
export class Vgpu510 extends Vgpu {
  override readonly dmaUnmapFunction = 'intel_vgpu_iommu_notifier';
  readonly opensEachFile = true;
  protected readonly pinUnattached = 'ENODEV';
  /** Whether it has its group (`vfio_group`), through which it pins and unpins. */
  private hasGroup = true;
  /** The work that a guest's going has scheduled: waiting, or begun (`released`) and not ended. */
  private release: Release | null = null;

  /**
   * intel_vgpu_open, kvmgt_guest_init. Of a vGPU that is open it is EEXIST, and what it undoes is what the first
   * open has done: the notifiers are gone, and so is the group.
   */
  *openDevice(api: DriverApi): KernelStep<Errno | null> {
    if (this.guest !== null) {
      yield* api.unregisterNotifier();
      this.hasGroup = false;
      api.adviseBug('gvt-opened-twice', 0n);
      return api.refuse('EEXIST', 'the vGPU is open');
    }
    const errno = this.attachGuest(api);
    if (!errno) this.hasGroup = true;
    return errno;
  }

  /** intel_vgpu_release. A release that has begun is left to who began it. */
  *closeDevice(api: DriverApi): KernelStep<void> {
    if (this.guest === null || this.release === 'begun') return;
    yield* this.beginRelease(api);
    yield* this.endRelease(api);
  }

  /** intel_vgpu_remove: mdev_device_remove_common calls it after device_del, which has waited for the files. */
  *remove(api: DriverApi, open: boolean): KernelStep<Errno | null> {
    return open || this.guest === null ? null : api.refuse('EBUSY', 'the vGPU is open');
  }

  /**
   * intel_vgpu_group_notifier: the guest of the group of an open vGPU has changed. When it has gone the vGPU is
   * released by a work (intel_vgpu_release_work): at once, unless `release` says otherwise.
   */
  *setGuest(api: DriverApi, guest: GuestId | null, release?: Release): KernelStep<void> {
    if (guest !== null || this.guest === null || this.release) return;
    if (release === 'late') {
      this.release = 'late';
      return;
    }
    yield* this.beginRelease(api);
    if (release !== 'begun') yield* this.endRelease(api);
  }

  /** The work goes on to its end. */
  override *runWork(api: DriverApi): KernelStep<boolean> {
    if (this.release === null) return false;
    if (this.release === 'late') yield* this.beginRelease(api);
    yield* this.endRelease(api);
    return true;
  }

  /** __intel_vgpu_release up to where nobody is told of an unmap any more. */
  private *beginRelease(api: DriverApi): KernelStep<void> {
    this.release = 'begun';
    yield* api.unregisterNotifier();
  }

  /** The rest of it: kvmgt_guest_exit. */
  private *endRelease(api: DriverApi): KernelStep<void> {
    yield* this.destroyCache(api);
    this.detach();
    this.release = null;
  }

  /** vfio_group_pin_pages: EINVAL without a group. */
  protected override *pinOne(api: DriverApi, iova: bigint): KernelStep<Errno | number> {
    if (!this.hasGroup) return api.refuse('EINVAL', 'the vGPU was opened twice, and has no group any more');
    return yield* super.pinOne(api, iova);
  }

  /** A warning for each page of which vfio_group_unpin_pages does not say that it walked 1; from 6.0 on it says nothing. */
  protected *unpin(api: DriverApi, gfn: number, pages: number): KernelStep<void> {
    for (let i = 0; i < pages; i++) {
      const iova = BigInt.asUintN(64, addressOf(gfn + i));
      const walked = this.hasGroup ? yield* api.unpinPages(iova, 1) : 'EINVAL';
      if (walked !== 1 && walked !== null) api.warn(UNPINNED_NOTHING);
    }
  }

  override state(most: number, list?: ListOf): object {
    const { hasGroup, release } = this;
    return { ...super.state(most, list), ...(hasGroup && !release ? {} : { hasGroup, release }) };
  }

  override *restore(state: GvtGState): Generator<void, void> {
    yield* super.restore(state);
    this.hasGroup = state.hasGroup ?? true;
    this.release = state.release ?? null;
  }
}
