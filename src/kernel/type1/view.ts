import { addressOf } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { SplatEvent } from '../splats.ts';
import { type IommuView, type MappingView, type PinView, pageOf } from '../vfio/iommu-view.ts';
import type { Iommu } from './iommu.ts';
import { describePin } from './leftover-pins.ts';
import { UNMAP_ATTEMPTS } from './unmap-dma.ts';

/** How many mappings are looked at for one that has charged the same memory. */
const LOOKED_AT = 128;

/** What may be seen of a type1 instance. */
export class Type1View implements IommuView {
  constructor(private readonly iommu: Iommu) {}

  get type(): number {
    return this.iommu.type;
  }
  get mappingCount(): number {
    return this.iommu.mappings.count;
  }
  get pinCount(): number {
    return this.iommu.pins.count;
  }
  get dmaAvail(): number {
    return this.iommu.dmaAvail;
  }
  get dirtyTracking(): boolean {
    return this.iommu.dirtyTracking;
  }
  get attempts(): number {
    return UNMAP_ATTEMPTS;
  }
  get devices(): string[] {
    return this.iommu.deviceList.map((device) => device.id);
  }
  get wedgedBy(): SplatEvent | null {
    return this.iommu.lock.wedgedBy ?? this.iommu.deviceListLock.wedgedBy;
  }

  *mappings(): Generator<MappingView, void, void> {
    for (const slot of this.iommu.mappings.inOrder()) yield this.mapping(slot);
  }

  mappingPage(skip: number, count: number): Generator<void, MappingView[]> {
    return pageOf(this.iommu.mappings.inOrder(), skip, count, (slot) => this.mapping(slot));
  }

  private mapping(slot: number): MappingView {
    const { mappings } = this.iommu;
    return {
      iova: addressOf(mappings.iova[slot]!),
      size: addressOf(mappings.size[slot]!),
      vaddr: addressOf(mappings.vaddr[slot]!),
      prot: mappings.prot[slot]!,
      owner: this.iommu.ownerOf(slot).process,
      vaddrInvalid: mappings.vaddrInvalid(slot),
      iommuMapped: mappings.iommuMapped(slot),
      closed: false,
      pinned: mappings.pinCount[slot]!,
      pins: () => this.pinsOf(slot),
      lockedPages: () => this.iommu.chargedBy(slot),
    };
  }

  *pinPage(skip: number, count: number): Generator<void, PinView[]> {
    const { iommu } = this;
    const { mappings } = iommu;
    let first = mappings.lowerBound(0);
    let left = skip;
    for (let passed = 1; first !== NIL && left >= mappings.pinCount[first]!; passed++) {
      left -= mappings.pinCount[first]!;
      first = mappings.next(first);
      if (passed % PASSED === 0) yield;
    }
    return yield* pageOf(pinsFrom(iommu, first), left, count, (pin) => describePin(iommu, pin));
  }

  chargedAt(start: number, end: number): string | null {
    const { mappings } = this.iommu;
    let slot = mappings.lowerBound(0);
    for (let i = 0; i < LOOKED_AT && slot !== NIL; i++, slot = mappings.next(slot)) {
      const vaddr = mappings.vaddr[slot]!;
      if (vaddr >= end || vaddr + mappings.size[slot]! <= start) continue;
      if (mappings.iommuMapped(slot) || this.hasPinIn(slot, start - vaddr, end - vaddr)) {
        return mappings.describe(slot);
      }
    }
    return null;
  }

  /** Whether one of the first pins of a mapping is of its pages [from, to). */
  private hasPinIn(slot: number, from: number, to: number): boolean {
    const { mappings, pins } = this.iommu;
    let left = LOOKED_AT;
    for (const pin of pins.nodesOf(mappings.pinTree(slot))) {
      const page = pins.page[pin]! - mappings.iova[slot]!;
      if (page >= to || left-- === 0) return false;
      if (page >= from) return true;
    }
    return false;
  }

  private *pinsOf(slot: number): Generator<PinView, void, void> {
    const { iommu } = this;
    for (const pin of iommu.pins.nodesOf(iommu.mappings.pinTree(slot))) yield describePin(iommu, pin);
  }
}

/** Mappings that are passed over between two stops. */
const PASSED = 4096;

/** The pins of a mapping and of those behind it. */
function* pinsFrom({ mappings, pins }: Iommu, first: number): Generator<number, void, void> {
  for (let slot = first; slot !== NIL; slot = mappings.next(slot))
    yield* pins.nodesOf(mappings.pinTree(slot));
}
