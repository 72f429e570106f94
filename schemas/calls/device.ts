import { Type } from '@sinclair/typebox';
import { Count, Hex } from '../answers.ts';
import { CallbackReturnFields } from '../drivers/external.ts';
import { Driver } from '../drivers/index.ts';
import { synthetic } from '../drivers/synthetic.ts';
import { IommuArgument } from '../iommu.ts';
import {
  Address64,
  Base64,
  Byte,
  FlagWord,
  GroupId,
  Guest,
  Id,
  Int32,
  Length,
  oneOf,
  PROT_FLAGS,
} from '../values.ts';
import { DeviceFields } from '../views.ts';
import { call } from './entry.ts';
import { driverThread, ioctl, release } from './stacks.ts';

/** What a device behind an IOMMU is bound to. */
const Binding = oneOf('vfio-pci', 'none', 'pci-stub', 'other');

/** Calls on a device and its group. */
export const deviceCalls = {
  'create-device': call({
    on: 'host',
    args: {
      device: Type.Optional(Id),
      kind: Type.Optional(
        Type.Union([Type.Literal('mdev'), Type.Literal('vfio-pci')], { description: '"mdev" or "vfio-pci"' }),
      ),
      driver: Type.Optional(Driver),
      group: Type.Optional(GroupId),
      boundTo: Type.Optional(Binding),
      iommu: Type.Optional(IommuArgument),
    },
    answer: DeviceFields,
    rest: { method: 'POST', url: '/v1/devices', status: 201 },
  }),
  'bind-device': call({ on: 'device', args: { to: Binding } }),
  'remove-device': call({
    on: 'device',
    rest: { method: 'DELETE', url: '/v1/devices/:device', status: 204 },
  }),
  'open-group': call({ on: 'device' }),
  'close-group': call({
    on: 'device',
    stack: release('vfio_iommu_type1_detach_group', 'vfio_group_fops_release'),
  }),
  'set-container': call({
    on: 'device',
    args: { container: Id },
    stack: ioctl('vfio_iommu_type1_attach_group', 'vfio_group_fops_unl_ioctl'),
  }),
  'unset-container': call({
    on: 'device',
    stack: ioctl('vfio_iommu_type1_detach_group', 'vfio_group_fops_unl_ioctl'),
  }),
  /** The guest (KVM) that a group is given to; null takes it away (KVM_DEV_VFIO_GROUP_ADD, _DEL). */
  'ap-set-guest': call({ on: 'device', args: { guest: Guest } }),
  'group-status': call({ on: 'device', reads: true, answer: { value: Count } }),
  'open-device': call({ on: 'device', args: { guest: Type.Optional(Guest) } }),
  'close-device': call({
    on: 'device',
    stack: release('vfio_iommu_type1_detach_group', 'vfio_device_fops_release'),
  }),
  'pin-pages': call({
    on: 'device',
    by: 'driver',
    args: { iova: Address64, npage: Int32, prot: FlagWord(PROT_FLAGS) },
    answer: { pinned: Count, pages: Type.Array(Type.Object({ iova: Hex, pfn: Hex })) },
    stack: driverThread('vfio_pin_pages'),
  }),
  'unpin-pages': call({
    on: 'device',
    by: 'driver',
    args: { iova: Address64, npage: Int32 },
    answer: { unpinned: Type.Optional(Type.Integer({ description: 'on 5.10: the pages walked' })) },
    stack: driverThread('vfio_unpin_pages'),
  }),
  'dma-rw': call({
    on: 'device',
    by: 'driver',
    args: {
      iova: Address64,
      write: Type.Boolean(),
      length: Type.Optional(Length),
      data: Type.Optional(Base64),
      fill: Type.Optional(Byte),
    },
    answer: { data: Type.Optional(Type.String()) },
    stack: driverThread('vfio_dma_rw'),
  }),
  'set-driver': call({ on: 'device', args: { driver: synthetic.config } }),
  'resume-callbacks': call({ on: 'device', by: 'driver' }),
  'complete-callback': call({ on: 'device', by: 'driver', args: CallbackReturnFields }),
};
