import { Type } from '@sinclair/typebox';
import { Count } from '../answers.ts';
import { Driver } from '../drivers/index.ts';
import { IommuArgument } from '../iommu.ts';
import { Binding, DeviceKind } from '../kinds.ts';
import { GroupId, Guest, Id, oneOf } from '../values.ts';
import { DeviceFields } from '../views.ts';
import { call } from './entry.ts';
import { ioctl, release } from './stacks.ts';

/** Calls on a device and its group. */
export const deviceCalls = {
  'create-device': call({
    about:
      'Makes a device and, unless `group` names one, a group for it: an mdev with a driver, or a device bound to vfio-pci behind an IOMMU.',
    on: 'host',
    args: {
      device: Type.Optional(Id),
      kind: Type.Optional(DeviceKind),
      driver: Type.Optional(Driver),
      group: Type.Optional(GroupId),
      boundTo: Type.Optional(Binding),
      iommu: Type.Optional(IommuArgument),
    },
    answer: DeviceFields,
    rest: { method: 'POST', url: '/v1/devices', status: 201 },
  }),
  'bind-device': call({
    about:
      'Binds a device behind an IOMMU to another driver, or to none: what makes its group viable or not.',
    on: 'device',
    args: { to: Binding },
  }),
  'remove-device': call({
    about:
      'Takes the device away. The kernel waits until nobody has it open (5.10: and its group left its container), and asks the driver every 10 s; `ifOpen: "refuse"` is EBUSY at once.',
    on: 'device',
    args: { ifOpen: Type.Optional(oneOf('wait', 'refuse')) },
    rest: { method: 'DELETE', url: '/v1/devices/:device', status: 204 },
  }),
  'set-memory-enable': call({
    about: 'The memory bit of the PCI command register, through the device’s file: whether its BARs answer.',
    on: 'device',
    args: { on: Type.Boolean() },
  }),
  'set-request-channel': call({
    about:
      'VFIO_DEVICE_SET_IRQS of VFIO_PCI_REQ_IRQ_INDEX: an eventfd that is signalled when the device is to be released.',
    on: 'device',
  }),
  'read-requests': call({
    about: 'Reads and clears the eventfd of the request channel; 0 where nothing was signalled.',
    on: 'device',
    answer: { value: Count },
  }),
  'open-group': call({ about: 'Opens the file /dev/vfio/GROUP.', on: 'device', alsoGone: true }),
  'close-group': call({
    about: 'Closes the group’s file.',
    on: 'device',
    alsoGone: true,
    stack: release('vfio_iommu_type1_detach_group', 'vfio_group_fops_release'),
  }),
  'set-container': call({
    about: 'VFIO_GROUP_SET_CONTAINER: attaches the group to a container.',
    on: 'device',
    alsoGone: true,
    args: { container: Id },
    stack: ioctl('vfio_iommu_type1_attach_group', 'vfio_group_fops_unl_ioctl'),
  }),
  'unset-container': call({
    about:
      'VFIO_GROUP_UNSET_CONTAINER: takes the group out of its container. With the last group its mappings go.',
    on: 'device',
    alsoGone: true,
    stack: ioctl('vfio_iommu_type1_detach_group', 'vfio_group_fops_unl_ioctl'),
  }),
  /** The guest (KVM) that a group is given to; null takes it away (KVM_DEV_VFIO_GROUP_ADD, _DEL). */
  'ap-set-guest': call({
    about:
      'KVM_DEV_VFIO_GROUP_ADD or _DEL: the guest that the device’s group is given to; null takes it away.',
    on: 'device',
    args: { guest: Guest },
  }),
  'group-status': call({
    about: 'VFIO_GROUP_GET_STATUS: 1 viable, 2 container set.',
    on: 'device',
    alsoGone: true,
    reads: true,
    answer: { value: Count },
  }),
  'open-device': call({
    about:
      'VFIO_GROUP_GET_DEVICE_FD: opens the device. Opening it again counts up; the driver is told of the first open and of the last close.',
    on: 'device',
    alsoGone: true,
    args: { guest: Type.Optional(Guest) },
  }),
  'close-device': call({
    about:
      'Closes the device’s file. With the last one the driver closes; pins that it has not given back leak.',
    on: 'device',
    alsoGone: true,
    stack: release('vfio_iommu_type1_detach_group', 'vfio_device_fops_release'),
  }),
};
