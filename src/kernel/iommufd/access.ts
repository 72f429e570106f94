import type { Errno } from '../errno.ts';
import { Lock } from '../lock.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Device } from '../vfio/device.ts';
import type { Ioas } from './ioas.ts';

/** dma_unmap's range when an access goes: from 0 on, 2^64-1 bytes. */
const EVERYTHING = (1n << 64n) - 1n;

/** An mdev's attachment to an IOAS (struct iommufd_access). */
export class IommufdAccess {
  /** Where pins are made; null before it is attached and once it is being destroyed. */
  ioas: Ioas | null = null;
  /** Where pins are given back: until its last callback has returned. */
  ioasUnpin: Ioas | null = null;
  /** Place in the IOAS's list. */
  slot = -1;
  /** Its object is gone from the context: no unmap calls it any more. */
  removed = false;
  /** Held by each unmap that is in the device's callback (`shortterm_users`); destroying waits for them. */
  readonly shorttermUsers: Lock;

  constructor(readonly device: Device) {
    this.shorttermUsers = new Lock(`shortterm_users of ${device.id}'s access`);
  }
}

/** iommufd_access_attach. EADDRINUSE while a mapping is not made of whole pages. */
export function iommufdAccessAttach(task: Task, access: IommufdAccess, ioas: Ioas): Errno | null {
  const errno = ioas.addAccess(task, access);
  if (errno) return errno;
  access.ioas = ioas;
  access.ioasUnpin = ioas;
  return null;
}

/**
 * iommufd_access_destroy: waits for the device's callbacks, then calls it once more, for everything there could be.
 * During that callback it can unpin but no longer pin.
 *
 * On the real kernel the wait takes 60 seconds however soon the callback returns, as the wake-up is lost
 * (fd-conc-close-self); here it ends with the callback, after whatever the unmap does next.
 */
export function* iommufdAccessDestroy(task: Task, access: IommufdAccess): KernelStep<void> {
  const { device, shorttermUsers } = access;
  access.removed = true;
  if (shorttermUsers.readers.size > 0) {
    task.advise(
      'CLOSE_WAITS',
      [device.id],
      0n,
      `${device.id} is closed while its dma_unmap runs: the kernel waits 60 s for it, as the wake-up is lost`,
    );
  }
  yield* task.lock(shorttermUsers);
  task.unlock(shorttermUsers);
  const ioas = access.ioas;
  if (!ioas) return;
  access.ioas = null;
  if (device.driver.hasDmaUnmap) {
    task.noteInvalidation({ device: device.id, iova: 0n, length: EVERYTHING, attempt: 1, round: 1 });
    const running = task.kernel.dmaUnmap(task, device, 0n, EVERYTHING);
    if (running) yield* running;
    task.inDmaUnmap = null;
  }
  access.ioasUnpin = null;
  ioas.removeAccess(task, access);
}

/**
 * iommufd_access_notify_unmap: calls every attached mdev, in the order of their slots, pins of its own or not. One
 * that is attached meanwhile is called if its slot is still to come.
 *
 * @param call what is done for one device
 */
export function* iommufdAccessNotifyUnmap(
  task: Task,
  ioas: Ioas,
  call: (device: Device) => KernelStep<void>,
): KernelStep<void> {
  for (let slot = 0; slot < ioas.accessList.length; slot++) {
    const access = ioas.accessList[slot];
    if (!access || access.removed || !access.device.driver.hasDmaUnmap) continue;
    yield* task.lockShared(access.shorttermUsers);
    yield* call(access.device);
    task.unlock(access.shorttermUsers);
  }
}
