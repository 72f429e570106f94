/** A difference that comes with the whole engine: it cannot be switched alone. */
interface EngineDifference {
  readonly title: string;
  readonly text: string;
  /** Recordings of 6.12-iommufd that show it. */
  readonly scenarios: readonly string[];
}

/** What of a generation belongs to its engine. */
export const ENGINE_TRAITS = ['containerOf', 'core.pinPagesMax', 'core.pinsByPage'] as const;

/** In what the containers that iommufd provides differ from those that type1 provides, by id. */
export const ENGINE_DIFFERENCES = {
  'iommufd-no-set-iommu': {
    title: 'No IOMMU has to be set',
    text:
      'With iommufd the address space comes with the first group that is attached: before, calls on it are ENODEV, ' +
      'and from then on everything works without SET_IOMMU. SET_IOMMU takes 1 and 3 any number of times and nothing ' +
      'else; type1 answers EINVAL without an IOMMU, and a second time.',
    scenarios: ['fd-calls-no-group', 'fd-no-set-iommu', 'fd-set-iommu-order'],
  },
  'iommufd-extensions': {
    title: 'Other extensions',
    text:
      'CHECK_EXTENSION of iommufd knows 1, 3 and 9 (unmap-all), and 4 (cache coherency) once there is an address ' +
      'space (ENODEV before); not 6 (nesting) nor 10 (vaddr updates).',
    scenarios: ['fd-ext-no-group', 'fd-ext-pci'],
  },
  'iommufd-info': {
    title: 'Other information',
    text:
      'IOMMU_GET_INFO of iommufd has no migration capability, names no limit of mappings (2^32-1 available), and ' +
      'always lists the usable ranges.',
    scenarios: ['fd-info', 'fd-pci-info'],
  },
  'iommufd-no-dirty-pages': {
    title: 'No dirty pages',
    text: 'VFIO_IOMMU_DIRTY_PAGES is ENOTTY with iommufd, and GET_DIRTY_BITMAP of an unmap EINVAL.',
    scenarios: ['hand-dirty-args', 'hand-pci-dirty'],
  },
  'iommufd-map-flags': {
    title: 'Flags of a map',
    text:
      'iommufd accepts a mapping that may be neither read nor written (EINVAL only with a device behind the IOMMU), ' +
      'and knows no vaddr flag, neither of a map nor of an unmap.',
    scenarios: ['fd-map-flags', 'fd-pci-attach-flags0'],
  },
  'iommufd-alignment': {
    title: 'Mappings at any byte',
    text:
      'iommufd asks for whole pages only while something is attached that needs them: an mdev, a device behind the ' +
      'IOMMU, or type 1. Before, a mapping may begin and end at any byte; but then such a device cannot be opened ' +
      '(EADDRINUSE). An unmap need never be aligned.',
    scenarios: ['fd-align-sub-page', 'fd-align-open-len', 'fd-align-type1-va'],
  },
  'iommufd-top': {
    title: 'The end of the address space',
    text:
      'With iommufd a mapping may end at 2^64 and is a mapping like any other; what reaches beyond is EOVERFLOW, and ' +
      'so is memory that ends at 2^64.',
    scenarios: ['hand-map-top', 'fd-map-order', 'fd-map-top-all'],
  },
  'iommufd-entry-limit': {
    title: 'No limit of mappings',
    text: 'iommufd has no dma_entry_limit: what is ENOSPC with type1 is mapped.',
    scenarios: ['fd-map-100'],
  },
  'iommufd-partial-unmap': {
    title: 'A range that ends within a mapping',
    text:
      'Type1 looks at both ends first and answers EINVAL with nothing unmapped. iommufd unmaps upwards until it meets ' +
      'a mapping that sticks out of the range, on either side: ENOENT, and the size says what is gone already.',
    scenarios: ['fd-unmap-partial', 'fd-bare-unmap-partial', 'fd-pci-partial'],
  },
  'iommufd-type1-cuts': {
    title: 'Type 1 cuts mappings',
    text:
      'With VFIO_TYPE1_IOMMU iommufd cuts mappings at the ends of an unmap, if they have no pins and no unmap has ' +
      'closed them, and pins as with type 3; type1 of version 1 unmaps whole mappings and does not pin (EACCES).',
    scenarios: ['fd-t1-middle', 'fd-t1-pinned-ends', 'fd-t1-wrap-cuts'],
  },
  'iommufd-callback-order': {
    title: 'Order of the callbacks',
    text:
      'Type1 calls the device that was opened last first. iommufd calls them in the order of their slots: the one ' +
      'opened first first, and one opened anew in the lowest slot that is free.',
    scenarios: ['fd-order-3', 'fd-order-slot-reuse', 'fd-order-reopen'],
  },
  'iommufd-101-rounds': {
    title: 'EDEADLK after 101 rounds instead of the BUG',
    text:
      'A driver that keeps its pins meets no BUG_ON: iommufd calls every device 101 times, warns (tries > 100), ' +
      'answers EDEADLK and goes on. Mappings without a gap between them share the count.',
    scenarios: ['fd-unmap-ignore-start', 'fd-tries-101', 'fd-tries-adjacent-0'],
  },
  'iommufd-goes-on': {
    title: 'Nothing hangs afterwards',
    text:
      'After the BUG_ON, or a deadlock between a callback and another call, type1’s container hangs for ever. ' +
      'iommufd holds no lock during callbacks, and is usable after each of its warnings.',
    scenarios: ['fd-deadlock-neighbour', 'fd-conc-pin-other'],
  },
  'iommufd-closed-mapping': {
    title: 'A mapping that an unmap has closed',
    text:
      'From its first callback on nothing in a mapping can be pinned or copied any more with iommufd (EINVAL), and ' +
      'an unmap that gave up leaves it so, until the pins are gone and it is unmapped.',
    scenarios: ['fd-deadlock-then', 'fd-conc-pin', 'fd-pin-partly-closed'],
  },
  'iommufd-last-callback': {
    title: 'One more callback at close',
    text:
      'After close_device iommufd calls dma_unmap once more, from iova 0 and 2^64-1 bytes long. A driver that looks at ' +
      'the start alone takes it for page 0.',
    scenarios: ['fd-close-in-order', 'fd-close-callback-first-2', 'fd-close-callback-rogue'],
  },
  'iommufd-unset-while-open': {
    title: 'Leaving a container with an open device',
    text:
      'A group leaves, and its file closes, also while its device is open; the device stays with its container until ' +
      'it is closed, though its group may have another one. With type1 that is EBUSY, and the device keeps the group.',
    scenarios: ['fd-unset-open', 'fd-unset-set-other', 'fd-close-group-open'],
  },
  'iommufd-attach-at-open': {
    title: 'What does not fit shows at open-device',
    text:
      'Only opening a device attaches it to the address space: mappings it cannot have are EADDRINUSE there, missing ' +
      'memory EFAULT, and too much of it ENOMEM; with type1 set-container or set-iommu answers that.',
    scenarios: ['fd-pci-after-map-top', 'acct-pci-limit-attach', 'fd-pci-attach-fault-state'],
  },
  'iommufd-hole-errno': {
    title: 'A page without a mapping',
    text: 'A pin or a copy that meets a hole is ENOENT with iommufd, EOVERFLOW beyond 2^64; EINVAL with type1.',
    scenarios: ['fd-pin-args', 'fd-rw-partial'],
  },
  'iommufd-read-permission': {
    title: 'Permission of a pin',
    text:
      'iommufd looks at the write bit of a pin alone: with it the mapping must be writable, and need not be readable; ' +
      'without it the mapping must be readable. Type1 asks for every bit that is set. To copy into a mapping iommufd ' +
      'wants it writable, type1 readable as well.',
    scenarios: ['fd-pin-prot', 'fd-pin-flags-other-bits', 'fd-rw'],
  },
  'iommufd-exact-unpin': {
    title: 'Unpin exactly what was pinned',
    text:
      'For iommufd a pin is a run of pages: pages pinned together must be unpinned together, mapping by mapping, ' +
      'otherwise it warns (!access) and they stay. An unpin that leaves the mappings warns as well.',
    scenarios: ['fd-unpin-split', 'fd-unpin-merge', 'fd-range-driver-run'],
  },
  'iommufd-pin-count': {
    title: 'No limit of 512 pages',
    text:
      'The limit of 512 pages a pin belongs to the classic container. With iommufd a negative count is a length just ' +
      'below 2^64, and unpinning 0 pages has a warning of its own.',
    scenarios: ['fd-pin-many', 'fd-unpin-count'],
  },
  'iommufd-accounting': {
    title: 'Which pages count as locked',
    text:
      'iommufd counts pinned pages in locked_vm only for mappings made without CAP_IPC_LOCK, a page once for each ' +
      'mapping however often it is pinned, and says nothing in the log when the limit is met.',
    scenarios: ['acct-none', 'acct-limit-1', 'acct-late-limit'],
  },
  'iommufd-context-lifetime': {
    title: 'How long mappings live',
    text:
      'With iommufd mappings go with the last of the container’s file, its groups and its open devices, not with its ' +
      'last group; where pins are left then, three warnings say so.',
    scenarios: ['fd-detach-keeps', 'fd-two-groups-last-leak', 'fd-leak-two-areas-close'],
  },
  'iommufd-group-status': {
    title: 'Viable or not',
    text: 'Without a container a group is not viable (0) while its device behind the IOMMU is still open (iommufd).',
    scenarios: ['fd-pci-gs', 'fd-pci-unset-open'],
  },
  'iommufd-earlier-step': {
    title: 'What an earlier step has left',
    text: 'The step itself is answered by the same rules, but an earlier one has left another state behind.',
    scenarios: [],
  },
} as const satisfies Record<string, EngineDifference>;

export type EngineDifferenceId = keyof typeof ENGINE_DIFFERENCES;
