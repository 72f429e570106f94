// drivers/s390/crypto/vfio_ap_ops.c of Linux 7.2.12: as 6.12.117 but for what is here.
import type { DriverTask } from '../../kernel/driver.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { Linux612 } from './linux-6.12.ts';
import type { MatrixMdev } from './mdev.ts';
import { type ApSplats, apSplats } from './splats.ts';

export class Linux72 extends Linux612 {
  static override readonly splats: ApSplats = apSplats(
    { A1: 258, A2: 264, A3: 281, A4: 285, A5: 332, A6: 338, A7: 2017, A10: 506, A11: 1941 },
    { A3: '!q->matrix_mdev' },
  );
  override readonly splats: ApSplats = Linux72.splats;

  /** vfio_ap_mdev_request: while userspace is asked to release the device, the guest loses its queues. */
  override *mdevRequest(task: DriverTask, mdev: MatrixMdev): KernelStep<void> {
    const kvm = yield* this.getUpdateLocks(task, mdev);
    kvm?.clearMasks();
    this.releaseUpdateLocks(task, kvm);
  }
}
