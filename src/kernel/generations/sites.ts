import type { SplatSite } from '../splats.ts';

/** A source file of the kernel, and the module it is built into. */
interface SourceFile {
  readonly file: string;
  readonly module: string;
}

export const TYPE1: SourceFile = { file: 'drivers/vfio/vfio_iommu_type1.c', module: 'vfio_iommu_type1' };
export const CONTAINER: SourceFile = { file: 'drivers/vfio/container.c', module: 'vfio' };
export const VFIO: SourceFile = { file: 'drivers/vfio/vfio.c', module: 'vfio' };
export const VFIO_MAIN: SourceFile = { file: 'drivers/vfio/vfio_main.c', module: 'vfio' };
export const NOTIFIER: SourceFile = { file: 'kernel/notifier.c', module: 'vmlinux' };

const iommufd = (name: string): SourceFile => ({ file: `drivers/iommu/iommufd/${name}`, module: 'iommufd' });
export const IOMMUFD_IO_PAGETABLE: SourceFile = iommufd('io_pagetable.c');
export const IOMMUFD_IOAS: SourceFile = iommufd('ioas.c');
export const IOMMUFD_DEVICE: SourceFile = iommufd('device.c');
export const IOMMUFD_PAGES: SourceFile = iommufd('pages.c');

/** The kernel has the splat in this function, at this line; null for what prints no line. */
export function at(name: string, { file, module }: SourceFile, line: number | null): SplatSite {
  return { function: name, file, line, module };
}

/** The kernel does not have the splat. */
export const absent = null;
