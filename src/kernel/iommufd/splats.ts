import type { SplatNote } from '../splats.ts';

/** The warnings of iommufd that a caller can reach here; where they are is in the generations that have it. */
export const IOMMUFD_SPLATS = {
  F1: {
    kind: 'WARN_ON',
    condition: 'tries > 100',
    effect: 'EDEADLK; the mapping stays, closed for pins and copies',
    reachedBy: 'an unmap, or the end of a context, that finds a mapping pinned after 101 rounds of callbacks',
  },
  F2: {
    kind: 'WARN_ON',
    condition: 'rc && rc != -ENOENT',
    effect: 'the IOAS is destroyed with mappings in it',
    reachedBy: 'the last of a context’s file, groups and devices goes while pins remain',
  },
  F3: {
    kind: 'WARN_ON',
    condition: '!RB_EMPTY_ROOT(&iopt->area_itree.rb_root)',
    effect: 'the mappings and their pinned pages leak',
    reachedBy: 'the same',
  },
  F4: {
    kind: 'WARN_ON',
    condition: '!iopt_area_contig_done(&iter)',
    effect: 'what lies before the hole was unpinned',
    reachedBy: 'an unpin that meets a page without a mapping',
  },
  F5: {
    kind: 'WARN_ON',
    condition: '!length',
    effect: 'nothing is unpinned',
    reachedBy: 'an unpin of 0 pages',
  },
  F6: {
    kind: 'WARN_ON',
    condition: 'check_add_overflow(iova, length - 1, &last_iova)',
    effect: 'nothing is unpinned',
    reachedBy: 'an unpin that reaches beyond 2^64',
  },
  F7: {
    kind: 'WARN_ON',
    condition: '!access->ioas_unpin',
    effect: 'nothing is unpinned',
    reachedBy: 'an unpin in open_device, before the device is attached',
  },
  F8: {
    kind: 'WARN_ON',
    condition: '!access',
    effect: 'nothing is unpinned in this mapping',
    reachedBy: 'an unpin of other pages than one pin made: fewer, more, or none',
  },
} as const satisfies Record<string, SplatNote>;
