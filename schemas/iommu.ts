import { type Static, Type } from '@sinclair/typebox';
import { REGION_TYPES } from './kinds.ts';
import { Address64, closedObject, oneOf } from './values.ts';

/** IOMMUs by name: the first two are recorded, the others made from public facts. */
export const IommuPreset = oneOf('intel-39', 'intel-48', 'intel-57', 'amd', 'arm-smmu', 'virtio');
export type IommuPreset = Static<typeof IommuPreset>;

const ReservedRegion = Type.Object(
  {
    start: Address64,
    end: Address64,
    type: oneOf(...REGION_TYPES),
  },
  { additionalProperties: false, description: '{start, end, type}: first and last byte' },
);

/** The properties of the IOMMU that a device lies behind; what is left out is the preset's. */
export const IommuProperties = closedObject({
  preset: Type.Optional(IommuPreset),
  addressWidth: Type.Optional(
    Type.Integer({ minimum: 13, maximum: 64, description: 'a width of 13 to 64 bits' }),
  ),
  pageSizes: Type.Optional(Address64),
  reserved: Type.Optional(
    Type.Array(ReservedRegion, { maxItems: 64, description: 'an array of at most 64 reserved regions' }),
  ),
  interruptRemapping: Type.Optional(Type.Boolean()),
  coherency: Type.Optional(Type.Boolean()),
  scalable: Type.Optional(Type.Boolean()),
  mapErrno: Type.Optional(oneOf('EFAULT', 'ENOMEM', 'EINVAL', 'ERANGE', 'EBUSY', 'EIO')),
});
export type IommuProperties = Static<typeof IommuProperties>;

/** The IOMMU of a vfio-pci device: a preset's name, or its properties. */
export const IommuArgument = Type.Union([IommuPreset, IommuProperties], {
  description: "a preset's name, or its properties",
});
export type IommuArgument = Static<typeof IommuArgument>;
