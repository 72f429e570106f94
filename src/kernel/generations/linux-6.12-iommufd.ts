import type { Generation } from './generation.ts';
import { LINUX_6_12 } from './linux-6.12.ts';
import {
  absent,
  at,
  IOMMUFD_DEVICE,
  IOMMUFD_IO_PAGETABLE,
  IOMMUFD_IOAS,
  IOMMUFD_PAGES,
  VFIO_MAIN,
} from './sites.ts';

/** Linux 6.12.117 (Debian's source), built with IOMMUFD_VFIO_CONTAINER and without the classic container. */
export const LINUX_6_12_IOMMUFD: Generation = {
  version: '6.12-iommufd',
  classic: '6.12',
  release: '6.12.117',
  recorded: true,
  containerOf: 'iommufd',
  core: {
    driverCallsNeed: 'open-device',
    claimsDmaOwner: true,
    openCheckPerCaller: true,
    closedPinWarns: true,
    pinNeedsDmaUnmap: true,
    unpinChecksCountFirst: false,
    unpinAnswers: false,
    pinPagesMax: null,
    pinsByPage: true,
    hasDmaRw: true,
    opensEachFile: false,
    registersBeforeOpen: true,
  },
  // That of the same source, where compare tries it; of it only the page sizes of the IOMMU show.
  type1: LINUX_6_12.type1,
  drivers: LINUX_6_12.drivers,
  console: {
    warningLine: 'cpu-first',
    callbackFrames: [
      'vfio_emulated_unmap',
      'iommufd_access_notify_unmap',
      'iopt_unmap_iova_range',
      'iopt_unmap_iova',
      'iommufd_vfio_ioctl',
    ],
  },
  // F7 is not recorded: its line is counted from the lines around it.
  splats: {
    B1: absent,
    W1: absent,
    W2: absent,
    W3: absent,
    W6: absent,
    W15: absent,
    C1: at('vfio_assert_device_open', VFIO_MAIN, 493),
    C2: absent,
    C3: at('vfio_unpin_pages', VFIO_MAIN, 1640),
    C9: at('vfio_pin_pages', VFIO_MAIN, 1601),
    C10: at('vfio_unpin_pages', VFIO_MAIN, 1642),
    C11: absent,
    N1: absent,
    L1: absent,
    L2: absent,
    F1: at('iopt_unmap_iova_range', IOMMUFD_IO_PAGETABLE, 712),
    F2: at('iommufd_ioas_destroy', IOMMUFD_IOAS, 18),
    F3: at('iopt_destroy_table', IOMMUFD_IO_PAGETABLE, 883),
    F4: at('iommufd_access_unpin_pages', IOMMUFD_DEVICE, 1124),
    F5: at('iommufd_access_unpin_pages', IOMMUFD_DEVICE, 1102),
    F6: at('iommufd_access_unpin_pages', IOMMUFD_DEVICE, 1103),
    F7: at('iommufd_access_unpin_pages', IOMMUFD_DEVICE, 1111),
    F8: at('iopt_area_remove_access', IOMMUFD_PAGES, 1980),
  },
};
