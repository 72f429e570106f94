import type { CcwErrno, CcwOperation } from '../../../schemas/drivers/vfio-ccw.ts';
import type { Errno } from '../../kernel/errno.ts';
import { Injected } from '../injected.ts';
import type { ConditionCode, HardwareProgram, Scsw, Subchannel } from './subchannel.ts';

/** How often cio_commit_config tries MSCH. */
const COMMITS = 5;

/**
 * The kernel's common I/O layer for one subchannel (drivers/s390/cio/cio.c), with what `ccw-inject` puts in its way:
 * a function that is told to fail answers so instead of doing anything.
 */
export class Cio {
  readonly injected = new Injected<CcwErrno>();

  constructor(readonly sch: Subchannel) {}

  /** cio_enable_subchannel. */
  enable(): Errno | null {
    return this.injected.take('enable') ?? this.commit(true);
  }

  /** cio_disable_subchannel: EBUSY while a function is in progress. */
  disable(): Errno | null {
    return this.injected.take('disable') ?? this.commit(false);
  }

  /**
   * cio_cancel_halt_clear: one more try to end what the subchannel does.
   *
   * @returns null where nothing is left to wait for; EBUSY where an interrupt will tell
   */
  cancelHaltClear(): Errno | null {
    const injected = this.injected.take('quiesce');
    if (injected) return injected;
    if (!this.sch.enabled) return null;
    const cancelled = this.sch.xsch();
    if (cancelled !== 2) return cancelled === 0 ? null : errnoOf(cancelled);
    const halted = this.hsch();
    if (halted === 0) return 'EBUSY';
    if (errnoOf(halted) !== 'EBUSY') return errnoOf(halted);
    return this.csch() === 0 ? 'EBUSY' : 'ENODEV';
  }

  /** SSCH. */
  ssch(program: HardwareProgram, suspendAllowed: boolean, lpm: number): ConditionCode | Errno {
    return this.instead('start') ?? this.sch.ssch(program, suspendAllowed, lpm);
  }

  /** HSCH. */
  hsch(): ConditionCode | Errno {
    return this.instead('halt') ?? this.sch.hsch();
  }

  /** CSCH. */
  csch(): ConditionCode | Errno {
    return this.instead('clear') ?? this.sch.csch();
  }

  /** The status that an interrupt brings; null where none is there. */
  interrupt(): Scsw | null {
    return this.sch.statusPending && this.sch.enabled ? this.sch.tsch() : null;
  }

  /** cio_commit_config: a status that is in the way is collected, and lost. */
  private commit(enabled: boolean): Errno | null {
    for (let attempt = 0; attempt < COMMITS; attempt++) {
      const cc = this.sch.msch(enabled);
      if (cc === 0) return null;
      if (cc === 1) this.sch.tsch();
    }
    return 'EBUSY';
  }

  /** An instruction's injected answer: condition code 1 for EBUSY, 3 for ENODEV, an errno of its own otherwise. */
  private instead(operation: CcwOperation): ConditionCode | Errno | undefined {
    const errno = this.injected.take(operation);
    if (errno === 'EBUSY') return 1;
    return errno === 'ENODEV' ? 3 : errno;
  }
}

function errnoOf(cc: ConditionCode | Errno): Errno {
  if (typeof cc === 'string') return cc;
  return cc === 3 ? 'ENODEV' : 'EBUSY';
}
