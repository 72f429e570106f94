import type { SavedHistory } from '../../../schemas/snapshot/vfio.ts';
import { addressOf, hex, hexAddress, pageOf, TOP_PAGE } from '../pages.ts';
import { wrong } from '../saved/checks.ts';
import type { Task } from '../task.ts';

/** Removals that are remembered; of more, the latest. */
const REMOVALS_MAX = 256;

/** A call that did something, as words name it. */
interface Doer {
  readonly call: string;
  readonly device: string | undefined;
  readonly number: number;
}

/** A mapping that went, in pages, with the call that took it. */
interface Removal extends Doer {
  readonly start: number;
  readonly pages: number;
}

/** The last group left. */
interface Loss {
  readonly devices: readonly string[];
  readonly number: number;
  readonly mappings: number;
}

/**
 * What went before in a container, for words alone: whoever is refused, or finds nothing, is told which call was the
 * cause. Nothing that is answered otherwise rests on it.
 */
export class History {
  private readonly removals: Removal[] = [];
  private oldest = 0;
  private lost: Loss | null = null;

  /** A mapping went because of a call. */
  noteRemoval({ call, device, number }: Task, start: number, pages: number): void {
    this.remember({ start, pages, call, device, number });
  }

  private remember(removal: Removal): void {
    if (this.removals.length < REMOVALS_MAX) this.removals.push(removal);
    else {
      this.removals[this.oldest] = removal;
      this.oldest = (this.oldest + 1) % REMOVALS_MAX;
    }
  }

  /** The last group left with its devices, and took the IOMMU along. */
  noteLoss({ number }: Task, devices: readonly string[], mappings: number): void {
    this.lost = { devices, number, mappings };
  }

  /** There is an IOMMU again. */
  noteIommu(): void {
    this.lost = null;
  }

  /** How the container came to have no IOMMU, in words that follow its name; null where it never had one. */
  get loss(): string | null {
    if (!this.lost) return null;
    const { devices, number, mappings } = this.lost;
    const along = mappings === 0 ? '' : `, with its ${counted(mappings, 'mapping')}`;
    return `lost its IOMMU when ${devices.join(' and ')} left (call ${number})${along}`;
  }

  /** What was mapped in the pages [start, end) last and which call removed it, in words; null where nothing is known. */
  removedIn(start: number, end: number): string | null {
    const { removals, oldest } = this;
    for (let i = removals.length - 1; i >= 0; i--) {
      const { start: from, pages, call, device, number } = removals[(oldest + i) % removals.length]!;
      if (from >= end || from + pages <= start) continue;
      const by = `${call}${device === undefined ? '' : ` of ${device}`} (call ${number})`;
      return `${hexAddress(from)}+${hexAddress(pages)} was removed by ${by}`;
    }
    return null;
  }

  /** As a snapshot has it; undefined where there is nothing to tell. */
  save(): SavedHistory | undefined {
    const { removals, oldest, lost } = this;
    if (removals.length === 0 && !lost) return undefined;
    const inOrder = [...removals.slice(oldest), ...removals.slice(0, oldest)];
    return {
      removals: inOrder.map(({ start, pages, call, device, number }) => ({
        iova: hexAddress(start),
        size: hex(addressOf(pages)),
        call,
        ...(device !== undefined && { device }),
        number,
      })),
      lost: lost && { ...lost, devices: [...lost.devices] },
    };
  }

  /** @param where what to call the saved history in messages */
  restore({ removals, lost }: SavedHistory, where: string): void {
    for (const [i, { iova, size, call, device, number }] of removals.entries()) {
      const start = pageOf(BigInt(iova));
      const pages = pageOf(BigInt(size));
      if (start + pages > TOP_PAGE)
        throw wrong(`${where}/removals/${i}/size`, `reaches beyond 2^64 from iova ${iova}`);
      this.remember({ start, pages, call, device, number });
    }
    this.lost = lost;
  }
}

/** `1 mapping`, `2 mappings`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
