import type { GuestId } from '../../kernel/guest.ts';
import { Lock } from '../../kernel/lock.ts';
import { ApBus } from './ap-bus.ts';
import { ApGuest } from './guest.ts';
import { ApHardware } from './hardware.ts';
import { ApMask, ApMatrix, copy } from './masks.ts';
import type { MatrixMdev } from './mdev.ts';

/** Guests that are remembered. */
const MOST_GUESTS = 4096;

/** What all matrix mdevs of a host share: the hardware, the AP bus, and struct ap_matrix_dev with its locks. */
export class MatrixDev {
  readonly hardware: ApHardware = new ApHardware();
  readonly bus: ApBus = new ApBus(this.hardware);
  /** The host's AP configuration as the driver was last told it (`info`). */
  info: ApMatrix = copy(this.hardware.config);
  /** Queues that any device was made with. */
  readonly madeWith = new Set<number>();
  /** Newest first (`mdev_list`). */
  readonly mdevList: MatrixMdev[] = [];
  /** `mdevs_lock`; on 5.10 `lock`. */
  readonly mdevsLock: Lock = new Lock('mdevs_lock');
  readonly guestsLock: Lock = new Lock('guests_lock');
  /** ap_perms_mutex; on 7.2 ap_attr_mutex. */
  readonly permsLock: Lock = new Lock('ap_perms_mutex');
  private readonly guests = new Map<GuestId, ApGuest>();

  /** The AP side of a guest. */
  guestOf(id: GuestId): ApGuest {
    if (this.guests.size >= MOST_GUESTS && !this.guests.has(id)) this.forgetGuest();
    return this.restoredGuest(id);
  }

  /** The same of a snapshot, which has no more than there may be: none is forgotten for it. */
  restoredGuest(id: GuestId): ApGuest {
    let guest = this.guests.get(id);
    if (!guest) {
      guest = new ApGuest(id, this.hardware);
      this.guests.set(id, guest);
    }
    return guest;
  }

  /** The oldest guest that has no device has ended: its GISA and its masks go with it. */
  private forgetGuest(): void {
    for (const guest of this.guests.values()) {
      if (guest.isBusy) continue;
      this.guests.delete(guest.id);
      return;
    }
  }

  /** Every guest that was looked at, in that order. */
  allGuests(): ApGuest[] {
    return [...this.guests.values()];
  }

  /** The queues a device is made with are there from the start, bound to vfio_ap, and so is what they span. */
  plug(apqns: readonly number[]): void {
    for (const apqn of apqns) this.madeWith.add(apqn);
    this.hardware.plug(ApMatrix.of(apqns));
    this.info = copy(this.hardware.config);
    this.bus.boot();
  }

  /**
   * An mdev is gone. A queue that was unlinked and still names it would read freed memory on a real kernel; here it
   * names none from now on.
   */
  forget(mdev: MatrixMdev): void {
    this.mdevList.splice(this.mdevList.indexOf(mdev), 1);
    for (const q of this.bus.bound()) {
      if (q.matrixMdev === mdev && !mdev.qtable.get(q.apqn)) q.matrixMdev = null;
    }
    for (const guest of this.guests.values()) {
      if (guest.hook === mdev) guest.hook = null;
      if (guest.isFresh) this.guests.delete(guest.id);
    }
  }

  /** The queues of a device that names none: domains 0 to 3 of the first adapter that no mdev has; null: none is left. */
  freeQueues(): number[] | null {
    const taken = new ApMask(this.mdevList.flatMap(({ matrix }) => matrix.apm.list()));
    let apid = 0;
    while (taken.has(apid)) apid++;
    if (apid > 255) return null;
    return [0, 1, 2, 3].map((apqi) => (apid << 8) | apqi);
  }
}
