import type { Kernel } from '../kernel.ts';
import { addressOf } from '../pages.ts';
import type { IommuView, MappingView, PinView } from '../vfio/iommu-view.ts';
import { accessesOf } from './access-shadow.ts';
import type { Ioas } from './ioas.ts';
import { describeAccess } from './leftover-pins.ts';
import { UNMAP_ATTEMPTS } from './unmap.ts';

/** What may be seen of an IOAS. */
export class IoasView implements IommuView {
  readonly type = null;
  /** There is no limit. */
  readonly dmaAvail = null;
  readonly dirtyTracking = false;
  readonly wedgedBy = null;
  readonly attempts: number = UNMAP_ATTEMPTS;

  constructor(
    private readonly kernel: Kernel,
    private readonly ioas: Ioas,
  ) {}

  get mappingCount(): number {
    return this.ioas.areas.count;
  }
  get pinCount(): number {
    return this.ioas.accesses.count;
  }
  get devices(): string[] {
    const attached = this.ioas.accessList.filter((access) => access?.device.driver.hasDmaUnmap);
    return attached.map((access) => access!.device.id);
  }

  *mappings(): Generator<MappingView, void, void> {
    const { areas, hasDomain } = this.ioas;
    for (const slot of areas.inOrder()) {
      yield {
        iova: areas.iova(slot),
        size: areas.length(slot),
        vaddr: addressOf(areas.vaddrPage[slot]!, areas.vaddrOffset[slot]!),
        prot: areas.prot[slot]!,
        vaddrInvalid: false,
        iommuMapped: hasDomain,
        closed: areas.preventAccess(slot),
        pins: () => this.pinsOf(slot),
      };
    }
  }

  private *pinsOf(slot: number): Generator<PinView, void, void> {
    for (const access of accessesOf(this.ioas, slot))
      yield describeAccess(this.kernel, this.ioas, slot, access);
  }
}
