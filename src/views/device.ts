import type { DeviceView } from '../../schemas/views.ts';
import { isRecorded } from '../kernel/iommu/presets.ts';
import { propertiesOf } from '../kernel/iommu/properties.ts';
import type { Device } from '../kernel/vfio/device.ts';

/** Items that a device's shown state has of each list. */
const LISTED_STATE = 1024;

/** A device as GET shows it. */
export function describeDevice(device: Device): DeviceView {
  const { group, driver } = device;
  return {
    device: device.id,
    group: group.id,
    kind: device.kind,
    ...(device.kind === 'mdev' ? {} : { boundTo: device.boundTo }),
    ...(driver.config ? { driver: driver.describe?.() ?? driver.config } : {}),
    ...(driver.state ? { state: driver.state(LISTED_STATE) } : {}),
    ...(group.iommu?.logged
      ? { iommu: { ...propertiesOf(group.iommu), recorded: isRecorded(group.iommu) } }
      : {}),
    openCount: device.openCount,
    groupOpen: group.fdOpen,
    container: group.container?.id ?? null,
  };
}
