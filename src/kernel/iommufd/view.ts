import type { Kernel } from '../kernel.ts';
import { addressOf } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import { type IommuView, type MappingView, type PinView, pageOf } from '../vfio/iommu-view.ts';
import { accessesOf } from './access-shadow.ts';
import { chargedIn } from './domain.ts';
import type { Ioas } from './ioas.ts';
import { describeAccess } from './leftover-pins.ts';
import { UNMAP_ATTEMPTS } from './unmap.ts';

/** How many mappings are looked at for one that has charged the same memory. */
const LOOKED_AT = 128;

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
    return this.ioas.callees.map(({ id }) => id);
  }

  *mappings(): Generator<MappingView, void, void> {
    for (const slot of this.ioas.areas.inOrder()) yield this.mapping(slot);
  }

  mappingPage(skip: number, count: number): Generator<void, MappingView[]> {
    return pageOf(this.ioas.areas.inOrder(), skip, count, (slot) => this.mapping(slot));
  }

  pinPage(skip: number, count: number): Generator<void, PinView[]> {
    const show = ([slot, access]: [number, number]) => describeAccess(this.kernel, this.ioas, slot, access);
    return pageOf(this.allPins(), skip, count, show);
  }

  private *allPins(): Generator<[slot: number, access: number], void, void> {
    for (const slot of this.ioas.areas.inOrder()) {
      for (const access of accessesOf(this.ioas, slot)) yield [slot, access];
    }
  }

  private mapping(slot: number): MappingView {
    const { areas, accesses, hasDomain } = this.ioas;
    const pinnedIn = () => {
      let pages = 0;
      for (const access of accessesOf(this.ioas, slot))
        pages += accesses.last[access]! - accesses.start[access]! + 1;
      return pages;
    };
    return {
      iova: areas.iova(slot),
      size: areas.length(slot),
      vaddr: addressOf(areas.vaddrPage[slot]!, areas.vaddrOffset[slot]!),
      prot: areas.prot[slot]!,
      owner: areas.pages(slot).owner.process,
      vaddrInvalid: false,
      iommuMapped: hasDomain,
      closed: areas.preventAccess(slot),
      get pinned() {
        return pinnedIn();
      },
      pins: () => this.pinsOf(slot),
      lockedPages: () => chargedIn(this.ioas, slot),
    };
  }

  chargedAt(start: number, end: number): string | null {
    const { areas, accesses, hasDomain } = this.ioas;
    let slot = areas.first(areas.root);
    for (let i = 0; i < LOOKED_AT && slot !== NIL; i++, slot = areas.next(slot)) {
      const vaddr = areas.vaddrPage[slot]!;
      const pages = areas.pages(slot);
      const until = Math.min(end, vaddr + areas.pageCount(slot));
      const from = Math.max(start, vaddr);
      if (!pages.accounted || from >= until) continue;
      if (hasDomain || accesses.overlapping(pages, from, until - 1).length > 0) return areas.describe(slot);
    }
    return null;
  }

  private *pinsOf(slot: number): Generator<PinView, void, void> {
    for (const access of accessesOf(this.ioas, slot))
      yield describeAccess(this.kernel, this.ioas, slot, access);
  }
}
