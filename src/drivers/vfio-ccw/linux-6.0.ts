// vfio_ccw as Linux 6.0 had it (drivers/s390/cio/vfio_ccw_ops.c), and as its callback was first posted.

import type { DriverApi } from '../../kernel/driver.ts';
import { PAGE_SIZE } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { VfioCcw61 } from './linux-6.1.ts';
import type { Vdev } from './vdev.ts';

/** 6.0 and 6.1.0: a subchannel that turns out not operational gives its pages back at once. */
export class VfioCcw60 extends VfioCcw61 {
  protected override *fsmNotoper(vdev: Vdev): KernelStep<void> {
    this.scheduleUnregister();
    this.fsm = 'NOT_OPER';
    yield* this.cp.free(vdev);
  }
}

/** As posted in version 4 of the series: only the first page of the range is looked at. */
export class VfioCcwAsPosted extends VfioCcw60 {
  override *dmaUnmap(api: DriverApi, iova: bigint): KernelStep<void> {
    yield* super.dmaUnmap(api, iova, BigInt(PAGE_SIZE));
  }
}
