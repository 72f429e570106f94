import type { KernelDifference } from './difference.ts';

/** What differs in processes, their memory, and the removal of devices. */
export const PROCESS_DIFFERENCES: readonly KernelDifference[] = [
  {
    id: 'foreign-unmap',
    title: 'An unmap by another process',
    text:
      'On 5.10 a mapping is unmapped only by the process that made it: another one’s unmap stops there, and answers ' +
      'success with what it had removed before. Later whoever has the file may unmap, and the maker is given its charge back.',
    traits: ['type1.unmapsOwnOnly'],
    scenarios: ['proc-exit-mapper-1-0'],
  },
  {
    id: 'device-memory-pin',
    title: 'A pin of a device’s memory',
    text:
      'On 5.10 a driver can pin a page of a mapped BAR, which is not charged; later that is EINVAL, as the page has no ' +
      'struct page.',
    traits: ['type1.pinsDeviceMemory'],
    scenarios: ['mem-device-mdev'],
  },
  {
    id: 'removal-and-group',
    title: 'What a removal waits for',
    text:
      'On 5.10 the removal of a group’s last device waits until the group has left its container too, and the group’s ' +
      'file stays usable. Later it waits for the device only, takes the group out of its container itself, and leaves a ' +
      'file that answers ENODEV.',
    traits: ['core.groupOutlivesDevices'],
    scenarios: ['removal-open', 'removal-not-open'],
  },
  {
    id: 'removal-and-open',
    title: 'An open while a removal waits',
    text: 'Up to 6.1 a device whose removal waits can still be opened, and then has to be closed too; from 6.2 on that is ENODEV.',
    traits: ['core.removedCanOpen'],
    scenarios: [],
  },
  {
    id: 'mdev-removal',
    title: 'How an mdev is removed',
    text:
      'On 5.10 an mdev’s driver is not asked to let it go, and the removal prints a line; later its request operation is ' +
      'called at once and every 10 s.',
    traits: ['core.mdevsAreAsked', 'core.detachesIommuOfMdev'],
    scenarios: ['removal-mdev-open', 'removal-mdev-group-open'],
  },
  {
    id: 'no-iommu-probe',
    title: 'A device without an IOMMU that may not be used',
    text:
      'While enable_unsafe_noiommu_mode is off vfio-pci does not bind to it: ENODEV on 5.10, EINVAL later, with a line ' +
      'whose words and level changed in 6.12.',
    traits: ['core.noIommuProbe', 'core.noIommuProbeLine'],
    scenarios: ['noiommu-param-off'],
  },
];
