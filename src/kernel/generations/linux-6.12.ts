import { SPLATS_6_1, sitesAt } from '../splats.ts';
import type { Generation } from './generation.ts';
import { LINUX_6_1 } from './linux-6.1.ts';

const MAIN = 'drivers/vfio/vfio_main.c';

/** Linux 6.12.107 (Debian trixie). What makes it different from 6.1. */
export const LINUX_6_12: Generation = {
  ...LINUX_6_1,
  version: '6.12',
  release: '6.12.107',
  splats: {
    ...SPLATS_6_1,
    ...sitesAt({ B1: 1390, W2: 915, W3: 934, W6: 1114, C1: 493, 'C1-unpin': 493, 'C1-rw': 493 }),
    C2: { ...SPLATS_6_1.C2, function: 'vfio_device_container_unpin_pages', line: 553 },
    C3: { ...SPLATS_6_1.C3, file: MAIN, line: 1640 },
    C9: { ...SPLATS_6_1.C9, line: 1601 },
    C10: { ...SPLATS_6_1.C10, line: 1642 },
  },
  openCheckPerCaller: true,
  closedPinWarns: true,
  pinNeedsDmaUnmap: true,
  unpinChecksCountFirst: false,
  closeNotifies: false,
  registersBeforeOpen: true,
  zeroPageReserved: false,
  drivers: '6.12',
};
