import type { SavedIommu } from '../../../schemas/snapshot/type1.ts';
import type { Errno } from '../errno.ts';
import type { Mm } from '../mm.ts';
import type { KernelStep, Task } from '../task.ts';
import { refused } from '../vfio/container.ts';
import type { IommuOps } from '../vfio/iommu-ops.ts';
import type { IommuView } from '../vfio/iommu-view.ts';
import { noIommuExtension } from './index.ts';

const NOTHING = 'VFIO_NOIOMMU_IOMMU translates nothing: it has no such ioctl';

/** The instance behind a container of no-IOMMU groups: there is nothing to map (noiommu-dma). */
export class NoIommu implements IommuOps {
  readonly view: IommuView;

  constructor(type: number) {
    this.view = {
      type,
      mappingCount: 0,
      pinCount: 0,
      dmaAvail: null,
      dirtyTracking: false,
      attempts: 0,
      devices: [],
      wedgedBy: null,
      mappings: () => [],
      *mappingPage() {
        return [];
      },
      *pinPage() {
        return [];
      },
      chargedAt: () => null,
    };
  }

  *attachGroup(): KernelStep<null> {
    return null;
  }
  *detachGroup(): KernelStep<void> {}
  *registerDevice(): KernelStep<void> {}
  *unregisterDevice(): KernelStep<void> {}
  *unregisterNotifier(): KernelStep<void> {}
  *containerCloses(): KernelStep<void> {}

  mapDma(task: Task): KernelStep<Errno> {
    return refused(task, 'ENOTTY', NOTHING);
  }
  unmapDma(task: Task): KernelStep<Errno> {
    return refused(task, 'ENOTTY', NOTHING);
  }
  dirtyPages(task: Task): KernelStep<Errno> {
    return refused(task, 'ENOTTY', NOTHING);
  }
  getInfo(task: Task): KernelStep<Errno> {
    return refused(task, 'ENOTTY', NOTHING);
  }
  pinPages(task: Task): KernelStep<Errno> {
    return refused(task, 'ENOTTY', NOTHING);
  }
  unpinPages(task: Task): KernelStep<Errno> {
    return refused(task, 'ENOTTY', NOTHING);
  }
  dmaRw(task: Task): KernelStep<Errno> {
    return refused(task, 'ENOTTY', NOTHING);
  }
  unpinRefused(): void {}
  *checkExtension({ kernel }: Task, extension: number): KernelStep<number> {
    return noIommuExtension(kernel, extension);
  }

  save(): SavedIommu | null {
    return null;
  }
  *chargedPages(): Generator<void, Map<Mm, number>> {
    return new Map();
  }
  holders(): Set<number> {
    return new Set();
  }
  checkRestored(): void {}
  refuseIfDetachHangs(): void {}
  refuseIfRegistrationHangs(): void {}
}
