import type { DmaAccess, PinResult, UnpinResult } from '../driver.ts';
import type { Errno } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Container } from '../vfio/container.ts';
import type { Device } from '../vfio/device.ts';
import type { IommuAccess } from '../vfio/iommu-ops.ts';
import { IommufdAccess, iommufdAccessAttach, iommufdAccessDestroy } from './access.ts';
import { iommufdDeviceAttach, iommufdDeviceBind, iommufdDeviceDetach } from './domain.ts';
import { Ioas } from './ioas.ts';
import { iommufdAccessPinPages, iommufdAccessUnpinPages } from './pin-pages.ts';
import { iommufdAccessRw } from './rw.ts';
import { ioptUnmapAll } from './unmap.ts';

/** An open of iommufd (struct iommufd_ctx), with the one IOAS that its VFIO ioctls act on. */
export class IommufdCtx implements IommuAccess {
  /** `vfio_ioas`; null until the first group is attached. */
  ioas: Ioas | null = null;
  /** Bound devices: an mdev with its access, one behind the IOMMU without. */
  readonly devices = new Map<Device, IommufdAccess | null>();

  /**
   * @param container whose it is
   * @param counted counts its pins and mappings too
   */
  constructor(
    private readonly container: Container,
    private readonly counted: Pick<Kernel, 'references' | 'mappings'>,
  ) {}

  /** iommufd_vfio_compat_ioas_create. */
  compatIoasCreate(): Ioas {
    this.ioas ??= new Ioas(this.container, this.counted);
    return this.ioas;
  }

  /** vfio_df_iommufd_bind: from now on the device holds the context. What iommufd_device_bind answers. */
  bind(task: Task, device: Device): Errno | null {
    const { group } = device;
    const owner = group.devices.find(({ openedThrough }) => openedThrough && openedThrough.iommu !== this);
    if (owner)
      return task.refuse('EPERM', `${owner.id}, in the same group, is open through another container`);
    const errno = group.emulated || group.noIommu ? null : iommufdDeviceBind(task, device);
    if (!errno) this.addBound(device);
    return errno;
  }

  /** A device that is bound. */
  addBound(device: Device): void {
    const { group } = device;
    group.dmaOwnerClaimed = group.iommu !== null;
    this.devices.set(device, group.emulated ? new IommufdAccess(device) : null);
  }

  /**
   * vfio_iommufd_compat_attach_ioas.
   *
   * @returns what attaching an access, or a device behind the IOMMU, answers
   */
  attach(task: Task, device: Device): Errno | null {
    // vfio_device_is_noiommu: there is nothing that it could be attached to.
    if (device.group.noIommu) return null;
    const ioas = this.compatIoasCreate();
    const access = this.devices.get(device);
    return access ? iommufdAccessAttach(task, access, ioas) : iommufdDeviceAttach(task, ioas, device);
  }

  /** vfio_df_iommufd_unbind: the device's attachment goes first. */
  *unbind(task: Task, device: Device): KernelStep<void> {
    const access = this.devices.get(device);
    if (access) yield* iommufdAccessDestroy(task, access);
    else if (this.ioas?.domainDevices.includes(device)) iommufdDeviceDetach(task, this.ioas, device);
    this.devices.delete(device);
    const { group } = device;
    group.dmaOwnerClaimed =
      group.iommu !== null && group.devices.some((other) => other !== device && other.openedThrough !== null);
  }

  /**
   * iommufd_fops_release, once nobody holds the context: its mappings go (iommufd_ioas_destroy, iopt_destroy_table),
   * with three warnings where pins are left (fd-close-container-leak). Their pages stay locked.
   */
  *release(task: Task): KernelStep<void> {
    const { ioas } = this;
    if (!ioas) return;
    this.ioas = null;
    const { errno } = yield* ioptUnmapAll(task, ioas);
    if (errno) task.warn('F2');
    if (!ioas.isEmpty) task.warn('F3');
  }

  *pinPages(task: Task, device: Device, iova: bigint, npage: number, prot: number): KernelStep<PinResult> {
    return iommufdAccessPinPages(task, this.devices.get(device)!, iova, npage, prot);
  }
  *unpinPages(task: Task, device: Device, iova: bigint, npage: number): KernelStep<UnpinResult> {
    iommufdAccessUnpinPages(task, this.devices.get(device)!, iova, npage);
    return null;
  }
  unpinRefused(task: Task, device: Device, iova: bigint, why: string): void {
    if (this.ioas) this.ioas.shadow.unpinRefused(task, this.ioas, device, iova, why);
  }
  *dmaRw(task: Task, device: Device, iova: bigint, access: DmaAccess): KernelStep<Errno | Uint8Array> {
    const attached = this.devices.get(device);
    if (!attached)
      return task.refuse('EINVAL', `${device.id} is behind the IOMMU and has no access to the IOAS`);
    return yield* iommufdAccessRw(task, attached, iova, access);
  }
}
