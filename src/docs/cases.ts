/** A kind of trouble that people report in public, by what they see. */
export interface Case {
  /** Names its trace, `examples/traces/case-<id>.json`, whose last step is what the report is about. */
  readonly id: string;
  /** What is seen. */
  readonly symptom: string;
  /** What was done. */
  readonly done: string;
  /** What to do instead. */
  readonly remedy: string;
}

/** Kinds of trouble, those of one symptom together. */
export const CASES: readonly Case[] = [
  {
    id: 'map-beyond-width',
    symptom: 'VFIO_MAP_DMA failed: Invalid argument',
    done: 'An IOVA is taken from the addresses of the process, or of a guest with more address bits than the IOMMU has.',
    remedy:
      'Ask VFIO_IOMMU_GET_INFO for the IOVA ranges after the first group has joined, and stay inside one of them.',
  },
  {
    id: 'map-msi-window',
    symptom: 'VFIO_MAP_DMA failed: Invalid argument',
    done: 'A guest’s memory is mapped across the window in which devices write their interrupts.',
    remedy: 'Leave the reserved regions out; the IOVA ranges have a hole there.',
  },
  {
    id: 'map-before-set-iommu',
    symptom: 'VFIO_MAP_DMA failed: Invalid argument',
    done: 'The container has a group, and VFIO_SET_IOMMU was not called yet.',
    remedy: 'The order is: set-container, set-iommu, map-dma.',
  },
  {
    id: 'last-device-left',
    symptom: 'VFIO_UNMAP_DMA failed: Invalid argument, after the last device was unplugged',
    done: 'The last group left the container, which loses its IOMMU, and every mapping with it.',
    remedy:
      'Unmap before, or forget the mappings when the last group goes; what joins later needs set-iommu and its maps again.',
  },
  {
    id: 'part-of-a-mapping-v2',
    symptom: 'VFIO_UNMAP_DMA failed: Invalid argument',
    done: 'With type1v2 a part of a mapping is unmapped.',
    remedy: 'Unmap what was mapped, or map in the pieces in which it will be unmapped.',
  },
  {
    id: 'bitmap-too-small',
    symptom: 'VFIO_IOMMU_DIRTY_PAGES failed: Invalid argument',
    done: 'The bitmap is smaller than a bit a page of the range, in whole 64-bit words.',
    remedy: 'Pages divided by 64, rounded up, times 8 bytes; at most 2^28 bytes (8 TiB) in one call.',
  },
  {
    id: 'part-of-a-mapping-v1',
    symptom: 'VFIO_UNMAP_DMA: unexpected size 0',
    done: 'With type1 a range is unmapped that begins inside a mapping: success, and nothing happens; mapping anew there is “File exists”.',
    remedy: 'Use type1v2, which refuses; with type1 begin where the mapping begins.',
  },
  {
    id: 'unmapped-already',
    symptom: 'VFIO_UNMAP_DMA: unexpected size 0',
    done: 'Somebody has unmapped the range before.',
    remedy: 'The advisory says which call; success with size 0 is what the kernel answers.',
  },
  {
    id: 'whole-address-space',
    symptom: 'VFIO_UNMAP_DMA: unexpected size 0 for the upper half of the address space',
    done: 'All of the address space is unmapped in two halves: up to 6.17 the end of the upper one wraps to 0, and nothing is found.',
    remedy: 'Use the flag all (from 5.12 on), or end a page below 2^64.',
  },
  {
    id: 'entries-used-up',
    symptom: 'VFIO_MAP_DMA failed: No space left on device',
    done: 'A container has as many mappings as dma_entry_limit of vfio_iommu_type1 allowed when its type was set (65,535 by default).',
    remedy: 'Map larger pieces, raise the parameter before set-iommu, or watch dmaAvail of iommu-info.',
  },
  {
    id: 'memlock',
    symptom: 'VFIO_MAP_DMA failed: Cannot allocate memory',
    done: 'RLIMIT_MEMLOCK is less than the memory that is mapped behind an IOMMU.',
    remedy: 'Raise the limit by what is asked for: all that is mapped, not what is used.',
  },
  {
    id: 'memlock-two-containers',
    symptom: 'VFIO_MAP_DMA failed: Cannot allocate memory, with a second device',
    done: 'Two containers of one process map the same memory: it is charged once for each.',
    remedy: 'Put both groups into one container, or allow twice as much.',
  },
  {
    id: 'charged-twice',
    symptom: 'Locked memory is twice that of the virtual machine',
    done: 'The same as before, where the limit is high enough.',
    remedy: 'The advisory names both containers.',
  },
  {
    id: 'read-only-memory',
    symptom: 'VFIO_MAP_DMA failed: Bad address',
    done: 'Memory that the process may only read is mapped with the flag write, or is not there.',
    remedy: 'Map it with read alone.',
  },
  {
    id: 'map-twice',
    symptom: 'VFIO_MAP_DMA failed: File exists',
    done: 'The range overlaps a mapping.',
    remedy: 'The refusal names it.',
  },
  {
    id: 'group-still-held',
    symptom: 'open of /dev/vfio/N: Device or resource busy',
    done: 'The group’s file was closed, and a device that was opened through it was not.',
    remedy: 'Close the devices first; the group’s file lives as long as they do.',
  },
  {
    id: 'group-not-viable',
    symptom:
      'group is not viable: please ensure all devices within the IOMMU group are bound to their vfio bus driver',
    done: 'Another device of the group has a host driver.',
    remedy:
      'Bind it to vfio-pci, to pci-stub or to nothing. Where nothing is said before open-device, the kernel is older than 5.19.',
  },
  {
    id: 'no-interrupt-remapping',
    symptom: 'VFIO_SET_IOMMU failed: Operation not permitted',
    done: 'The IOMMU does not remap interrupts, so that a device could forge them.',
    remedy: 'Switch it on in the firmware, or set allow_unsafe_interrupts and know why.',
  },
  {
    id: 'nesting-gone',
    symptom: 'VFIO_SET_IOMMU failed: No such device',
    done: 'VFIO_TYPE1_NESTING_IOMMU is asked for without a look at CHECK_EXTENSION.',
    remedy: 'It was removed in 6.13; nested translation is iommufd’s.',
  },
  {
    id: 'no-dma-unmap',
    symptom: 'vfio_pin_pages failed: -22',
    done: 'A driver without dma_unmap pins.',
    remedy: 'From 6.2 on a driver that pins must have one; before, it ended the next unmap in a BUG.',
  },
  {
    id: 'pin-left-at-close',
    symptom: 'kernel BUG at vfio_iommu_type1.c, and no callback before it',
    done: 'A driver was closed with a page still pinned: nobody is there who could unpin it.',
    remedy: 'Unpin everything at close_device; PIN_LEAKED_AT_CLOSE names the first page when it happens.',
  },
  {
    id: 'unpin-shifted-twice',
    symptom: 'WARNING in vfio_iommu_type1_unpin_pages',
    done: 'A page frame number was shifted twice: what is unpinned is in no mapping.',
    remedy: 'The advisory has what the driver does hold nearby.',
  },
  {
    id: 'no-callback',
    symptom: 'dma_unmap is never called',
    done: 'A client waits for the callback of an unmap of pages that no driver has pinned.',
    remedy:
      'Only mappings with pinned pages are told of. `set-parameters {"adviseNoCallback": true}` says so each time.',
  },
];
