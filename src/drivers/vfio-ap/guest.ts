import type { DriverTask } from '../../kernel/driver.ts';
import type { GuestId } from '../../kernel/guest.ts';
import { Lock } from '../../kernel/lock.ts';
import type { ApHardware } from './hardware.ts';
import { ApMatrix, copy } from './masks.ts';
import type { MatrixMdev } from './mdev.ts';

/** What a guest's PQAP(AQIC) asks: to enable with a notification byte and an ISC, or (null) to disable. */
export type Aqic = { readonly nib: bigint; readonly isc: number } | null;

/** What a guest sees of its PQAP: `intercept`: KVM did not answer it, userspace is to. */
export type PqapAnswer =
  | { readonly response: number; readonly cc: number; readonly gr1?: string }
  | { readonly intercept: 'EOPNOTSUPP' };

/** The AP side of a guest (kvm->arch.crypto and its GISA): arch/s390/kvm, the same on every kernel. */
export class ApGuest {
  /** kvm->lock. */
  readonly lock: Lock;
  /** pqap_hook_rwsem. */
  readonly hookSem: Lock;
  /** The mdev whose handle_pqap is hooked in (`pqap_hook`). */
  hook: MatrixMdev | null = null;
  /** The APCB: the guest's own masks. */
  masks: ApMatrix = new ApMatrix();
  /** How often each ISC is registered (`gisa_int.alert.ref_count`). */
  readonly iscs = new Map<number, number>();
  /** Whether it has a CRYCB, the interruption facility AIV, and memory slots. */
  crycb = true;
  aiv = true;
  memorySlots = true;
  /** Whether it is a protected guest; `sharesNib`: whether what it names as NIB is shared with the host. */
  protected = false;
  sharesNib = true;

  constructor(
    readonly id: GuestId,
    private readonly hardware: ApHardware,
  ) {
    this.lock = new Lock(`guest ${id} lock`);
    this.hookSem = new Lock(`guest ${id} pqap_hook_rwsem`);
  }

  /** kvm_arch_crypto_set_masks. */
  setMasks(matrix: ApMatrix): void {
    this.masks = copy(matrix);
  }

  /** kvm_arch_crypto_clear_masks. */
  clearMasks(): void {
    this.masks = new ApMatrix();
  }

  /** kvm_s390_gisc_register: false where it fails. */
  giscRegister(isc: number): boolean {
    if (!this.hardware.registers()) return false;
    this.iscs.set(isc, (this.iscs.get(isc) ?? 0) + 1);
    return true;
  }

  /** kvm_s390_gisc_unregister: one registration less; nothing where there is none. */
  giscUnregister(task: DriverTask, isc: number): void {
    task.note('vfio', { op: 'gisc-unregister', isc });
    const left = (this.iscs.get(isc) ?? 0) - 1;
    if (left > 0) this.iscs.set(isc, left);
    else this.iscs.delete(isc);
  }

  /** gfn_to_hva of a notification byte: whether a memory slot has it. */
  hasMemoryAt(_nib: bigint): boolean {
    return this.memorySlots;
  }

  /** As recordings show it. */
  describe(): object {
    return {
      guest: this.id,
      adapters: this.masks.apm.list(),
      domains: this.masks.aqm.list(),
      iscs: Object.fromEntries(this.iscs),
      hook: this.hook !== null,
    };
  }

  /** Whether a device has it, or a task one of its locks. */
  get isBusy(): boolean {
    return (
      this.hook !== null || [this.lock, this.hookSem].some((l) => l.owner !== null || l.readers.size > 0)
    );
  }

  /** Whether it is as it would be made anew. */
  get isFresh(): boolean {
    const whole = this.crycb && this.aiv && this.memorySlots && !this.protected && this.sharesNib;
    return !this.shows && whole && !this.lock.wedgedBy && !this.hookSem.wedgedBy;
  }

  /** Whether it has a state. */
  get shows(): boolean {
    return this.hook !== null || this.iscs.size > 0 || !this.masks.apm.empty || !this.masks.aqm.empty;
  }
}
