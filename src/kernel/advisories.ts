import type { KernelBugId } from './kernel-bugs.ts';

/** The findings that are no bug of the kernel itself. */
export const FINDING_KINDS = [
  'FOREIGN_UNPIN',
  'UNPIN_NOT_PINNED',
  'PIN_LEAKED_AT_CLOSE',
  'IGNORED_INVALIDATION',
  'START_ONLY_CHECK',
  'MISALIGNED_PIN',
  'USE_AFTER_UNPIN',
  'UNPIN_NOT_AS_PINNED',
  'RANGE_CLOSED',
  'CLOSE_WAITS',
] as const;

/**
 * What the kernel lets pass silently but a driver's author must know. An advisory changes nothing in what the
 * kernel does; it rests on the shadow ownership of pins (PinTable's holders).
 */
export type AdvisoryKind = (typeof FINDING_KINDS)[number] | `KERNEL_BUG:${KernelBugId}`;

/** One finding of a call. */
export interface Advisory {
  readonly kind: AdvisoryKind;
  /** Who did it; then, where somebody else is concerned, whom it hit. Ids; empty where no device is concerned. */
  readonly devices: readonly string[];
  /** The first IOVA it is about, bytes. */
  readonly iova: bigint;
  /** How often within the call. */
  count: number;
  readonly text: string;
}

/** Different advisories one call may have; more of the same only count up. */
const ADVISORIES_MAX = 64;

/** Collects a call's advisories: the same kind about the same devices is one, with a count. */
export class AdvisoryList {
  /** Made with the first finding: most calls have none. */
  private byKey: Map<string, Advisory> | null = null;

  /** Notes one; returns it where it is new. */
  note(kind: AdvisoryKind, devices: readonly string[], iova: bigint, text: string): Advisory | null {
    const key = `${kind} ${devices.join(' ')}`;
    this.byKey ??= new Map();
    const known = this.byKey.get(key);
    if (known) {
      known.count++;
      return null;
    }
    if (this.byKey.size >= ADVISORIES_MAX) return null;
    const advisory: Advisory = { kind, devices, iova, count: 1, text };
    this.byKey.set(key, advisory);
    return advisory;
  }

  /** In the order in which they were first noted. */
  list(): Advisory[] {
    return this.byKey ? [...this.byKey.values()] : [];
  }
}
