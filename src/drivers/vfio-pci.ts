import type { MdevDriver } from '../kernel/driver.ts';
import type { Errno } from '../kernel/errno.ts';
import type { KernelStep } from '../kernel/task.ts';

/** A device bound to vfio-pci: it never pins by itself and has no dma_unmap. */
export class VfioPciDriver implements MdevDriver {
  readonly hasDmaUnmap = false;

  *openDevice(): KernelStep<Errno | null> {
    return null;
  }
  *closeDevice(): KernelStep<void> {}
  *dmaUnmap(): KernelStep<void> {}
}
