import { Type } from '@sinclair/typebox';
import { Count } from '../answers.ts';
import {
  Address64,
  FlagWord,
  Hex,
  Id,
  MAP_FLAGS,
  UInt32,
  UNMAP_FLAGS,
  UNSIGNED_LONG,
  UnsignedLong,
} from '../values.ts';
import { call } from './entry.ts';
import { ioctl } from './stacks.ts';

const Bitmap = {
  dirtyRanges: Type.Optional(
    Type.Array(Type.Tuple([Count, Count], { description: '[first, count]' }), {
      description: 'runs of dirty pages, as indexes from iova',
    }),
  ),
  dirtyPages: Type.Optional(
    Type.Array(Count, { description: 'page indexes from iova; left out above 4096' }),
  ),
  bitmap: Type.Optional(
    Type.String({ description: 'base64 of little-endian 64-bit words; left out above 8 MiB' }),
  ),
};

/** Calls on a container: the ioctls of /dev/vfio/vfio. */
export const containerCalls = {
  'open-container': call({
    about:
      'Opens /dev/vfio/vfio: a container without groups and without an IOMMU. The process that opens it is the one whose memory its mappings are of.',
    on: 'host',
    args: { container: Type.Optional(Id), process: Type.Optional(Id) },
    answer: { container: Type.String(), process: Type.String() },
    rest: { method: 'POST', url: '/v1/containers', status: 201 },
  }),
  'close-container': call({
    about:
      'Closes the container’s file. The object lives on while groups are attached; with the last of them its mappings and pins go.',
    on: 'container',
    rest: { method: 'DELETE', url: '/v1/containers/:container', status: 204 },
  }),
  'set-iommu': call({
    about: 'VFIO_SET_IOMMU: chooses the IOMMU type. A group must be attached; it can be done once.',
    on: 'container',
    args: {
      type: Type.Union(
        [
          ...UnsignedLong.anyOf,
          Type.Literal('type1'),
          Type.Literal('type1v2'),
          Type.Literal('type1-nesting'),
        ],
        { description: `"type1", "type1v2", "type1-nesting", or ${UNSIGNED_LONG}` },
      ),
    },
    stack: ioctl('vfio_iommu_type1_attach_group', 'vfio_fops_unl_ioctl'),
  }),
  'check-extension': call({
    about: 'VFIO_CHECK_EXTENSION: whether an extension is supported; 0 or a positive value.',
    on: 'container',
    reads: true,
    args: { extension: UnsignedLong },
    answer: { value: Count },
  }),
  'iommu-info': call({
    about:
      'VFIO_IOMMU_GET_INFO: page sizes, IOVA ranges, how many more mappings may be made, and what dirty tracking offers.',
    on: 'container',
    reads: true,
    answer: {
      pageSizes: Hex,
      dmaAvail: Count,
      dirtyPageSizes: Hex,
      maxDirtyBitmapSize: Hex,
      iovaRanges: Type.Optional(Type.Array(Type.Array(Hex, { minItems: 2, maxItems: 2 }))),
    },
    rest: { method: 'GET', url: '/v1/containers/:container/iommu-info', status: 200 },
  }),
  'map-dma': call({
    about:
      'VFIO_IOMMU_MAP_DMA: maps [vaddr, vaddr+size) of the process at [iova, iova+size). With an IOMMU-backed device its pages are pinned at once; for mdevs not before a driver pins them.',
    on: 'container',
    args: { iova: Address64, vaddr: Address64, size: Address64, flags: FlagWord(MAP_FLAGS) },
    answer: { iova: Hex, size: Hex },
    stack: ioctl('vfio_iommu_type1_ioctl', 'vfio_fops_unl_ioctl'),
  }),
  'unmap-dma': call({
    about:
      'VFIO_IOMMU_UNMAP_DMA: removes the mappings in [iova, iova+size). Drivers are called back for a mapping that has pins, again and again until they are gone; after eleven visits the kernel gives up with BUG_ON.',
    on: 'container',
    args: {
      iova: Address64,
      size: Address64,
      flags: Type.Optional(FlagWord(UNMAP_FLAGS)),
      pageSize: Type.Optional(Address64),
      bitmapSize: Type.Optional(Address64),
    },
    answer: { size: Hex, ...Bitmap },
    stack: ioctl('vfio_iommu_type1_ioctl', 'vfio_fops_unl_ioctl'),
  }),
  'dirty-start': call({
    about: 'VFIO_IOMMU_DIRTY_PAGES with START: what is pinned or written from now on counts as dirty.',
    on: 'container',
  }),
  'dirty-stop': call({
    about: 'VFIO_IOMMU_DIRTY_PAGES with STOP: no more tracking, the bitmaps are freed.',
    on: 'container',
  }),
  'dirty-get': call({
    about:
      'VFIO_IOMMU_DIRTY_PAGES with GET_BITMAP: which pages of mappings in the range are dirty; they count as clean afterwards.',
    on: 'container',
    reads: true,
    args: { iova: Address64, size: Address64, pageSize: Address64, bitmapSize: Type.Optional(Address64) },
    answer: Bitmap,
  }),
  'dirty-flags': call({
    about: 'VFIO_IOMMU_DIRTY_PAGES with any flags word, to see how it is refused.',
    on: 'container',
    args: { flags: UInt32 },
  }),
};
