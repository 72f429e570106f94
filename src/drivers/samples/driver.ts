import type { SampleConfig } from '../../../schemas/drivers/samples.ts';
import type { MdevDriver } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';

/**
 * mtty, mdpy and mbochs, the kernel's samples: they have no dma_unmap and never pin, so
 * their devices are never called and pins in a container with only these are refused.
 *
 * The limits of instances are those of a parent device, which this host does not have.
 */
export class SampleDriver implements MdevDriver {
  readonly hasDmaUnmap = false;

  constructor(readonly config: SampleConfig) {}

  *openDevice(): KernelStep<Errno | null> {
    return null;
  }
  *closeDevice(): KernelStep<void> {}
  *dmaUnmap(): KernelStep<void> {}
}
