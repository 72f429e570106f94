import { SPLATS_6_1 } from '../splats.ts';
import type { Generation } from './generation.ts';

/** Linux 6.1.192 (Debian bookworm): the dma_unmap callback. The other generations say what differs from it. */
export const LINUX_6_1: Generation = {
  version: '6.1',
  release: '6.1.192',
  splats: SPLATS_6_1,
  containerOf: 'type1',
  driverCallsNeed: 'open-device',
  openCheckPerCaller: false,
  closedPinWarns: false,
  pinNeedsDmaUnmap: false,
  unpinChecksCountFirst: true,
  channel: 'device-list',
  unmapWalk: 'ascending',
  bisectedAfterRound: 'success',
  unpinAnswers: false,
  pinsByPage: false,
  unmapAllAndVaddr: true,
  closeNotifies: true,
  registersBeforeOpen: false,
  wrapsAtTop: true,
  overflow: 'EINVAL',
  nesting: true,
  nestingRefused: 'EINVAL',
  misalignedPinsCountAtAttach: false,
  zeroPageReserved: true,
  beyondWidth: 'EFAULT',
  iommuPageSizes: 0x40201000n,
  drivers: '6.1',
  warningLine: 'cpu-first',
};
