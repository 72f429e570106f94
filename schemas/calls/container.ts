import { Type } from '@sinclair/typebox';
import { Count, Hex } from '../answers.ts';
import {
  Address64,
  FlagWord,
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
  dirtyPages: Type.Optional(
    Type.Array(Count, { description: 'page indexes from iova; left out above 4096' }),
  ),
  bitmap: Type.Optional(Type.String({ description: 'base64 of little-endian 64-bit words' })),
};

/** Calls on a container: the ioctls of /dev/vfio/vfio. */
export const containerCalls = {
  'open-container': call({
    on: 'host',
    args: { container: Type.Optional(Id), process: Type.Optional(Id) },
    answer: { container: Type.String(), process: Type.String() },
    rest: { method: 'POST', url: '/v1/containers', status: 201 },
  }),
  'close-container': call({
    on: 'container',
    rest: { method: 'DELETE', url: '/v1/containers/:container', status: 204 },
  }),
  'set-iommu': call({
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
    on: 'container',
    reads: true,
    args: { extension: UnsignedLong },
    answer: { value: Count },
  }),
  'iommu-info': call({
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
    on: 'container',
    args: { iova: Address64, vaddr: Address64, size: Address64, flags: FlagWord(MAP_FLAGS) },
    answer: { iova: Hex, size: Hex },
    stack: ioctl('vfio_iommu_type1_ioctl', 'vfio_fops_unl_ioctl'),
  }),
  'unmap-dma': call({
    on: 'container',
    args: {
      iova: Address64,
      size: Address64,
      flags: Type.Optional(FlagWord(UNMAP_FLAGS)),
      pageSize: Type.Optional(Address64),
    },
    answer: { size: Hex, ...Bitmap },
    stack: ioctl('vfio_iommu_type1_ioctl', 'vfio_fops_unl_ioctl'),
  }),
  'dirty-start': call({ on: 'container' }),
  'dirty-stop': call({ on: 'container' }),
  'dirty-get': call({
    on: 'container',
    reads: true,
    args: { iova: Address64, size: Address64, pageSize: Address64 },
    answer: Bitmap,
  }),
  'dirty-flags': call({ on: 'container', args: { flags: UInt32 } }),
};
