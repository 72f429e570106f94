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
  'UNPIN_REFUSED',
] as const;

/** Words about an answer that is as it should be: whoever did not expect it learns the cause. Nobody did wrong. */
const NOTE_KINDS = ['UNMAPPED_NOTHING', 'IOMMU_LOST', 'CHARGED_TWICE', 'NO_CALLBACK'] as const;

/**
 * What the kernel lets pass silently but a driver's author must know. An advisory changes nothing in what the
 * kernel does; it rests on the shadow ownership of pins (PinTable's holders).
 */
export type AdvisoryKind =
  | (typeof FINDING_KINDS)[number]
  | (typeof NOTE_KINDS)[number]
  | `KERNEL_BUG:${KernelBugId}`;

/** Whether an advisory only explains. */
export function isNote(kind: AdvisoryKind): boolean {
  return (NOTE_KINDS as readonly string[]).includes(kind);
}

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
  private readonly noted: Advisory[] = [];

  /** @param hasWords whether somebody reads them */
  constructor(private readonly hasWords: boolean) {}

  /** Notes one; returns it where it is new. */
  note(
    kind: AdvisoryKind,
    devices: readonly string[],
    iova: bigint,
    text: string | (() => string),
  ): Advisory | null {
    const { noted } = this;
    for (const known of noted) {
      if (known.kind !== kind || !areSame(known.devices, devices)) continue;
      known.count++;
      return null;
    }
    if (noted.length >= ADVISORIES_MAX) return null;
    const words = !this.hasWords ? '' : typeof text === 'string' ? text : text();
    const advisory: Advisory = { kind, devices, iova, count: 1, text: words };
    noted.push(advisory);
    return advisory;
  }

  /** In the order in which they were first noted. */
  list(): Advisory[] {
    return this.noted.slice();
  }
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
