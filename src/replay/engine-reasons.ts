import { isDeepStrictEqual } from 'node:util';
import {
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  VFIO_PIN_PAGES_MAX_ENTRIES,
  VFIO_TYPE1_IOMMU,
} from '../../schemas/uapi.ts';
import { flagWord, MAP_FLAGS, UNMAP_FLAGS } from '../../schemas/values.ts';
import type { EngineDifferenceId } from '../kernel/generations/engine-differences.ts';
import { PAGE_SIZE, TOP } from '../kernel/pages.ts';
import type { Expectation, Step } from './scenario.ts';

/** A step that type1 and iommufd answer differently, with what came before it. */
interface EngineStep {
  readonly step: Step;
  readonly type1: Expectation;
  readonly iommufd: Expectation;
  /** The steps before, each with its answers. */
  readonly earlier: readonly Omit<EngineStep, 'earlier'>[];
}

const CONTAINER_CALLS = [
  'map-dma',
  'unmap-dma',
  'iommu-info',
  'dirty-start',
  'dirty-stop',
  'dirty-get',
  'open-device',
];
const ACCESSES = ['pin-pages', 'dma-rw'];

/** Whether an answer's log has this condition. */
function prints({ log = [] }: Expectation, condition: string): boolean {
  return log.some((entry) => entry.condition === condition);
}

function bytes(value: unknown): bigint {
  return BigInt((value ?? 0) as string | number);
}

/** The raw flags of a map or an unmap. */
function flagsOf({ call, flags = 0 }: Step): number {
  return flagWord(flags as number | string[], (call === 'map-dma' ? MAP_FLAGS : UNMAP_FLAGS) as never);
}

function isType1(type: unknown): boolean {
  return type === VFIO_TYPE1_IOMMU || type === 'type1';
}

/** Callbacks as a set: in which order is another question. */
function sorted({ invalidations = [] }: Expectation): string[] {
  return invalidations.map(({ device, iova, length }) => `${device} ${iova} ${length}`).sort();
}

/** How each difference of the engines shows at a step. */
const SHOWS: Readonly<Record<EngineDifferenceId, (at: EngineStep) => boolean>> = {
  'iommufd-no-set-iommu': ({ step, type1, iommufd, earlier }) => {
    if (step.call === 'set-iommu') return type1.errno !== iommufd.errno;
    if (!CONTAINER_CALLS.includes(step.call)) return false;
    if (iommufd.errno === 'ENODEV') return true;
    const set = earlier.some((one) => one.step.call === 'set-iommu' && one.type1.errno === null);
    return type1.errno === 'EINVAL' && !set;
  },
  'iommufd-extensions': ({ step }) => step.call === 'check-extension',
  'iommufd-info': ({ type1, iommufd }) => type1.info !== undefined && iommufd.info !== undefined,
  'iommufd-no-dirty-pages': ({ step }) =>
    step.call.startsWith('dirty-') ||
    (step.call === 'unmap-dma' && (flagsOf(step) & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) !== 0),
  'iommufd-map-flags': ({ step }) => {
    if (step.call === 'unmap-dma') return (flagsOf(step) & ~3) !== 0;
    return step.call === 'map-dma' && (flagsOf(step) === 0 || flagsOf(step) >= VFIO_DMA_MAP_FLAG_VADDR);
  },
  'iommufd-alignment': ({ step, iommufd }) => {
    if (iommufd.errno === 'EADDRINUSE') return true;
    if (step.call !== 'map-dma' && step.call !== 'unmap-dma') return false;
    return [step.iova, step.size, step.vaddr].some((value) => bytes(value) % BigInt(PAGE_SIZE) !== 0n);
  },
  'iommufd-top': ({ step, iommufd }) => {
    if (iommufd.errno === 'EOVERFLOW') return step.call.endsWith('-dma');
    const reaches = (at: unknown) => at !== undefined && bytes(at) + bytes(step.size) >= TOP;
    return step.call.endsWith('-dma') && (reaches(step.iova) || reaches(step.vaddr));
  },
  'iommufd-entry-limit': ({ type1 }) => type1.errno === 'ENOSPC',
  'iommufd-partial-unmap': ({ step, iommufd }) => step.call === 'unmap-dma' && iommufd.errno === 'ENOENT',
  'iommufd-type1-cuts': ({ step, type1, earlier }) =>
    type1.errno === 'EACCES' ||
    (step.call === 'unmap-dma' &&
      earlier.some((one) => one.step.call === 'set-iommu' && isType1(one.step.type))),
  'iommufd-callback-order': ({ type1, iommufd }) =>
    !isDeepStrictEqual(type1.invalidations, iommufd.invalidations) &&
    isDeepStrictEqual(sorted(type1), sorted(iommufd)),
  'iommufd-101-rounds': ({ type1, iommufd }) =>
    type1.killed === true || iommufd.errno === 'EDEADLK' || prints(iommufd, 'tries > 100'),
  'iommufd-goes-on': ({ type1 }) =>
    type1.hangs === true || type1.errno === 'EDEADLK' || type1.pending === true,
  'iommufd-closed-mapping': ({ step, iommufd, earlier }) =>
    iommufd.errno === 'EINVAL' &&
    ACCESSES.includes(step.call) &&
    earlier.some((one) => one.iommufd.pending || one.iommufd.errno === 'EDEADLK'),
  'iommufd-last-callback': ({ step, iommufd }) =>
    step.call === 'close-device' && (iommufd.invalidations ?? []).length > 0,
  'iommufd-unset-while-open': ({ step, type1, iommufd }) =>
    type1.errno === 'EBUSY' && iommufd.errno === null && step.call !== 'unmap-dma',
  'iommufd-attach-at-open': ({ step, type1, iommufd }) => {
    if (step.call === 'set-container' || step.call === 'set-iommu') return type1.errno !== null;
    return step.call === 'open-device' && iommufd.errno !== null && iommufd.errno !== 'ENODEV';
  },
  'iommufd-hole-errno': ({ step, iommufd }) =>
    ACCESSES.includes(step.call) && (iommufd.errno === 'ENOENT' || iommufd.errno === 'EOVERFLOW'),
  'iommufd-read-permission': ({ type1, iommufd }) =>
    (type1.errno === 'EPERM') !== (iommufd.errno === 'EPERM'),
  'iommufd-exact-unpin': ({ iommufd }) =>
    prints(iommufd, '!access') || prints(iommufd, '!iopt_area_contig_done(&iter)'),
  'iommufd-pin-count': ({ step }) => {
    const npage = Number(step.npage ?? 1);
    return npage <= 0 || npage > VFIO_PIN_PAGES_MAX_ENTRIES;
  },
  'iommufd-accounting': ({ type1, iommufd }) =>
    type1.lockedPages !== iommufd.lockedPages || (type1.errno === 'ENOMEM') !== (iommufd.errno === 'ENOMEM'),
  'iommufd-context-lifetime': ({ type1, iommufd }) =>
    prints(iommufd, 'rc && rc != -ENOENT') || prints(type1, '!RB_EMPTY_ROOT(&dma->pfn_list)'),
  'iommufd-group-status': ({ step }) => step.call === 'group-status',
  'iommufd-earlier-step': () => false,
};

/** Which differences of the engines make them answer a step differently; at least one. */
export function engineReasons(at: EngineStep): EngineDifferenceId[] {
  const ids = (Object.keys(SHOWS) as EngineDifferenceId[]).filter((id) => SHOWS[id](at));
  return ids.length > 0 ? ids : ['iommufd-earlier-step'];
}
