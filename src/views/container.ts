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

/** So many of its mappings behind the first ones, by IOVA, as lists show them; stops now and then. */
export function* mappingsOf(
  { view }: Container,
  skip: number,
  count: number,
): Generator<void, MappingView[]> {
  if (!view) return [];
  const page = yield* view.mappingPage(skip, count);
  return page.map(({ iova, size, vaddr, prot, vaddrInvalid, iommuMapped, closed, pinned }) => ({
    iova: hex(iova),
    size: hex(size),
    vaddr: hex(vaddr),
    prot: flagNames(prot, PROT_FLAGS),
    vaddrInvalid,
    iommuMapped,
    ...(closed ? { closed } : {}),
    pins: pinned,
  }));
}

/** The same of its pins. */
export function* pinsOf({ view }: Container, skip: number, count: number): Generator<void, PinView[]> {
  if (!view) return [];
  const page = yield* view.pinPage(skip, count);
  return page.map(({ iova, npage, pfn, refCount, devices }) => ({
    iova: hex(iova),
    ...(npage === undefined ? {} : { npage }),
    pfn: `0x${pfn.toString(16)}`,
    refCount,
    devices: [...devices],
  }));
}
