import { sitesAt } from '../splats.ts';
import type { Generation } from './generation.ts';
import { LINUX_6_12 } from './linux-6.12.ts';

/** Linux 7.2.12 (Debian forky). What makes it different from 6.12. */
export const LINUX_7_2: Generation = {
  ...LINUX_6_12,
  version: '7.2',
  release: '7.2.12',
  splats: {
    ...LINUX_6_12.splats,
    ...sitesAt(
      {
        B1: 1522,
        W2: 1029,
        W3: 1055,
        W6: 1235,
        C1: 505,
        'C1-unpin': 505,
        'C1-rw': 505,
        C3: 1740,
        C9: 1701,
        C10: 1742,
      },
      LINUX_6_12.splats,
    ),
  },
  wrapsAtTop: false,
  overflow: 'EOVERFLOW',
  nesting: false,
  beyondWidth: 'ERANGE',
  misalignedPinsCountAtAttach: true,
  warningLine: 'file-first',
};
