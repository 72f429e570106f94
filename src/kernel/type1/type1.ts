import type { SavedIommu } from '../../../schemas/snapshot/type1.ts';
import type { DmaAccess, PinResult, UnpinResult } from '../driver.ts';
import type { Errno } from '../errno.ts';
import type { Mm } from '../mm.ts';
import type { KernelStep, Task } from '../task.ts';
import type { ListOf } from '../vfio/container.ts';
import type { Device } from '../vfio/device.ts';
import type { Group } from '../vfio/group.ts';
import type {
  DirtyRange,
  IommuInfo,
  IommuOps,
  MapDmaArgs,
  UnmapDmaArgs,
  UnmapDmaResult,
} from '../vfio/iommu-ops.ts';
import { attachGroup, detachGroup } from './attach-group.ts';
import { registerDevice, unregisterDevice, unregisterNotifier } from './device-list.ts';
import type { UserBitmap } from './dirty-bitmap.ts';
import { dirtyPages } from './dirty-pages.ts';
import { dmaRw } from './dma-rw.ts';
import { checkExtension, getInfo } from './info.ts';
import { Iommu } from './iommu.ts';
import { mapDma } from './map-dma.ts';
import { pinPages, unpinPages } from './pin-pages.ts';
import { chargedPages, checkListens, holdersIn, saveType1 } from './saved.ts';
import { unmapDma } from './unmap-dma.ts';
import { Type1View } from './view.ts';

/** A type1 instance as VFIO's core calls it (vfio_iommu_driver_ops_type1). Its state is Iommu's. */
export class Type1 extends Iommu implements IommuOps {
  readonly view: Type1View = new Type1View(this);

  attachGroup(task: Task, group: Group): KernelStep<Errno | null> {
    return attachGroup(task, this, group);
  }
  detachGroup(task: Task, group: Group): KernelStep<void> {
    return detachGroup(task, this, group);
  }
  registerDevice(task: Task, device: Device): KernelStep<void> {
    return registerDevice(task, this, device);
  }
  unregisterDevice(task: Task, device: Device): KernelStep<void> {
    return unregisterDevice(task, this, device);
  }
  unregisterNotifier(task: Task, device: Device): KernelStep<void> {
    return unregisterNotifier(task, this, device);
  }
  mapDma(task: Task, args: MapDmaArgs): KernelStep<Errno | null> {
    return mapDma(task, this, args);
  }
  unmapDma(task: Task, args: UnmapDmaArgs): KernelStep<UnmapDmaResult> {
    return unmapDma(task, this, args);
  }
  dirtyPages(task: Task, flags: number, range: DirtyRange | null): KernelStep<Errno | UserBitmap | null> {
    return dirtyPages(task, this, flags, range);
  }
  getInfo(task: Task): KernelStep<IommuInfo> {
    return getInfo(task, this);
  }
  checkExtension(task: Task, extension: number): KernelStep<number> {
    return checkExtension(task, this, extension);
  }
  pinPages(task: Task, device: Device, iova: bigint, npage: number, prot: number): KernelStep<PinResult> {
    return pinPages(task, this, device, iova, npage, prot);
  }
  unpinPages(task: Task, device: Device, iova: bigint, npage: number): KernelStep<UnpinResult> {
    return unpinPages(task, this, device, iova, npage);
  }
  unpinRefused(task: Task, device: Device, iova: bigint, why: string): void {
    this.shadow.unpinRefused(task, this, device, iova, why);
  }
  dmaRw(task: Task, device: Device, iova: bigint, access: DmaAccess): KernelStep<Errno | Uint8Array> {
    return dmaRw(task, this, device, iova, access);
  }

  /** vfio_iommu_type1_notify, from 5.12 to 6.2. */
  *containerCloses(task: Task): KernelStep<void> {
    if (!this.gen.type1.closeNotifies) return;
    yield* task.lock(this.lock);
    this.container.open = false;
    task.kernel.scheduler.wakeAll(this.vaddrWait);
    task.unlock(this.lock);
  }

  save(list: ListOf): SavedIommu {
    return saveType1(this, list);
  }
  holders(): Set<number> {
    return holdersIn(this);
  }
  chargedPages(): Generator<void, Map<Mm, number>> {
    return chargedPages(this);
  }
  checkRestored(device: Device, where: string): void {
    checkListens(this, device, where);
  }

  refuseIfDetachHangs(): void {
    this.lock.refuseIfWedged();
  }
  refuseIfRegistrationHangs(): void {
    if (this.gen.type1.channel === 'device-list') this.lock.refuseIfWedged();
    else this.deviceListLock.refuseIfWedged();
  }
}
