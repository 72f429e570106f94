import type { DriverTask } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import {
  AP_CHECKSTOPPED,
  AP_DECONFIGURED,
  AP_NORMAL,
  AP_Q_NOT_AVAIL,
  AP_RESET_IN_PROGRESS,
  type ApHardware,
} from './hardware.ts';
import { INTERVAL } from './vfio-ap.ts';

const ATTEMPTS = 2;
const LOOKS = 2;

/** What became of a reset: `frees`: the queue's pin and ISC are released. */
interface ResetOutcome {
  readonly errno: Errno | null;
  readonly frees: boolean;
  /** Of the last ZAPQ. */
  readonly response: number;
}

/** vfio_ap_mdev_reset_queue as 5.10 and 6.1 have it: the caller itself waits for the queue. */
export function* resetQueueAtOnce(
  task: DriverTask,
  hardware: ApHardware,
  apqn: number,
  warn: (id: 'A7' | 'A8' | 'A9') => void,
): KernelStep<ResetOutcome> {
  let status = hardware.execute(task, 'zapq', apqn);
  for (let attempt = 1; status.response === AP_RESET_IN_PROGRESS && attempt < ATTEMPTS; attempt++) {
    yield* task.sleep(INTERVAL);
    status = hardware.execute(task, 'zapq', apqn);
  }
  const { response } = status;
  switch (response) {
    case AP_Q_NOT_AVAIL:
    case AP_DECONFIGURED:
    case AP_CHECKSTOPPED:
      if (status.irqEnabled) warn('A8');
      return { errno: 'EBUSY', frees: true, response };
    case AP_NORMAL:
    case AP_RESET_IN_PROGRESS:
      break;
    default:
      warn('A7');
      return { errno: 'EIO', frees: false, response };
  }
  // The driver's own counting: the last of its looks counts as failed even when it finds the queue reset.
  let left = LOOKS;
  while (left-- > 0) {
    if (status.queueEmpty && !status.irqEnabled) break;
    yield* task.sleep(INTERVAL);
    status = hardware.execute(task, 'tapq', apqn);
  }
  if (left <= 0) warn('A9');
  return { errno: response === AP_NORMAL ? null : 'EBUSY', frees: true, response };
}
