import { flagNames, PROT_FLAGS } from '../../schemas/values.ts';
import type { ContainerView, MappingView, PinView } from '../../schemas/views.ts';
import { hex } from '../kernel/pages.ts';
import { splatReport } from '../kernel/splat-report.ts';
import type { Container } from '../kernel/vfio/container.ts';

/** A container as GET shows it. */
export function describeContainer({ id, process, open, groups, view }: Container): ContainerView {
  return {
    container: id,
    process: process.id,
    open,
    groups: groups.map((group) => group.id),
    iommu: view && {
      type: view.type,
      mappings: view.mappingCount,
      pins: view.pinCount,
      dmaAvail: view.dmaAvail,
      dirtyTracking: view.dirtyTracking,
      devices: [...view.devices],
    },
    wedged: view?.wedgedBy ? splatReport(view.wedgedBy) : null,
  };
}

/** Its mappings as lists show them, by IOVA. */
export function* mappingsOf({ view }: Container): Generator<MappingView> {
  if (!view) return;
  for (const { iova, size, vaddr, prot, vaddrInvalid, iommuMapped, closed, pinned } of view.mappings()) {
    yield {
      iova: hex(iova),
      size: hex(size),
      vaddr: hex(vaddr),
      prot: flagNames(prot, PROT_FLAGS),
      vaddrInvalid,
      iommuMapped,
      ...(closed ? { closed } : {}),
      pins: pinned,
    };
  }
}

/** Its pins as lists show them, by IOVA. */
export function* pinsOf({ view }: Container): Generator<PinView> {
  if (!view) return;
  for (const { pins } of view.mappings()) {
    for (const { iova, npage, pfn, refCount, devices } of pins()) {
      const pages = npage === undefined ? {} : { npage };
      yield { iova: hex(iova), ...pages, pfn: `0x${pfn.toString(16)}`, refCount, devices: [...devices] };
    }
  }
}
