import { SPLATS_6_1, sitesAt } from '../splats.ts';
import { ANY_PAGE_SIZE } from '../type1/page-sizes.ts';
import type { Generation } from './generation.ts';
import { LINUX_6_1 } from './linux-6.1.ts';

/** Linux 5.10.262 (Debian bullseye): the notifier era. What makes it different from 6.1. */
export const LINUX_5_10: Generation = {
  ...LINUX_6_1,
  version: '5.10',
  release: '5.10.262',
  splats: { ...SPLATS_6_1, ...sitesAt({ B1: 1253, W6: 1031 }) },
  driverCallsNeed: 'group',
  channel: 'notifier-chain',
  unmapWalk: 'from-root',
  bisectedAfterRound: 'EINVAL',
  unpinAnswers: true,
  pinsByPage: true,
  unmapAllAndVaddr: false,
  closeNotifies: false,
  nestingRefused: 'ENODEV',
  drivers: '5.10',
  iommuPageSizes: ANY_PAGE_SIZE,
};
