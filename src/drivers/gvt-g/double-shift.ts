import type { DriverApi } from '../../kernel/driver.ts';
import { addressOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { Vgpu61 } from './linux-6.1.ts';

/**
 * As posted in July 2022, in no release: it shifts the frame number twice, so it unpins at another address, and what
 * it should release stays pinned, but for frame 0.
 */
export class VgpuDoubleShift extends Vgpu61 {
  protected override unpin(api: DriverApi, gfn: number, pages: number): KernelStep<unknown> {
    return api.unpinPages(BigInt.asUintN(64, addressOf(gfn) << 12n), pages);
  }
}
