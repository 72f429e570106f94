import { addressOf, hex, hexAddress } from './pages.ts';
import { type PinKey, type StolenPin, StolenPins } from './stolen-pins.ts';
import type { Task } from './task.ts';
import type { Device } from './vfio/device.ts';

/** References taken from a device behind its back that are remembered; later ones are not. */
export const STOLEN_MAX = 65_536;

/** What a device did with its pins during one callback. */
interface CallbackWatch {
  /** First page of the invalidated range. */
  readonly firstPage: number;
  /** Pages it unpinned within the first page, and elsewhere. */
  atStart: number;
  elsewhere: number;
}

/**
 * The shadow of an engine's pins: who did what to whom, for advisories. The kernel knows nothing of it. What an engine
 * itself knows of its pins it says in what extends this.
 */
export class PinShadow {
  private readonly watches = new Map<number, CallbackWatch>();
  private readonly stolen = new StolenPins();

  /** Pins that devices believe they have, oldest first. */
  stolenPins(): StolenPin[] {
    return this.stolen.list();
  }

  /** Numbers of the devices that believe they have pins which they have not. */
  stolenFrom(): Iterable<number> {
    return this.stolen.devices();
  }

  /** Notes one of them again, from a snapshot. */
  restoreStolen(pin: StolenPin): void {
    this.stolen.add(pin);
  }

  /** A device has this pin now, or knows that it has not. */
  protected forget(device: Device, page: number, offset: number, npage: number): void {
    if (this.stolen.size > 0) this.stolen.delete({ device: device.number, page, offset, npage });
  }

  /** A device dropped a reference that was another's (its number). */
  foreignUnpin(task: Task, device: Device, owner: number, page: number, offset: number, npage = 1): void {
    const name = task.kernel.deviceName(owner);
    if (this.stolen.size < STOLEN_MAX) this.stolen.add({ device: owner, page, offset, npage });
    const text = () => `${device.id} unpinned ${describe(page, offset, npage)}, which only ${name} holds`;
    task.advise('FOREIGN_UNPIN', [device.id, name], addressOf(page, offset), text);
  }

  /** A device unpinned what is not pinned, or is in no mapping; `held` is what it does hold nearby. */
  protected unpinNotPinned(
    task: Task,
    device: Device,
    key: PinKey,
    held: () => string,
    why = 'is not pinned',
  ): void {
    const { page, offset, npage } = key;
    this.forget(device, page, offset, npage);
    const text = () => [`${device.id} unpinned ${describe(page, offset, npage)}, which ${why}`, held()];
    task.advise('UNPIN_NOT_PINNED', [device.id], addressOf(page, offset), () => sentence(text()));
  }

  /** An unpin that did nothing but warn: `why`, in words; `held` is what the device does hold nearby. */
  protected unpinInVain(task: Task, device: Device, iova: bigint, why: string, held: () => string): void {
    const text = () => [`${device.id} unpinned from ${hex(iova)}, which does nothing: ${why}`, held()];
    task.advise('UNPIN_REFUSED', [device.id], iova, () => sentence(text()));
  }

  /** A device unpinned pages, whatever came of it. */
  unpinned(device: Device, page: number, npage = 1): void {
    const watch = this.watches.get(device.number);
    if (!watch) return;
    if (page === watch.firstPage && npage === 1) watch.atStart++;
    else watch.elsewhere++;
  }

  /** A device uses pages (DMA, or what it believes it has pinned). */
  used(task: Task, device: Device, firstPage: number, pages: number): void {
    if (this.stolen.size === 0) return;
    for (const { page, offset, npage } of this.stolen.within(device.number, firstPage, pages)) {
      const text = () =>
        `${device.id} uses ${describe(page, offset, npage)}, which another device unpinned under it`;
      task.advise('USE_AFTER_UNPIN', [device.id], addressOf(page, offset), text);
    }
  }

  /** A callback to a device begins. */
  callbackStarts(device: Device, firstPage: number): void {
    this.watches.set(device.number, { firstPage, atStart: 0, elsewhere: 0 });
  }

  /**
   * A callback has returned.
   *
   * @param left the first pin of the device's that is still in the mapping; null where there is none, or no mapping
   * @param range the mapping, for the message
   */
  protected callbackEnded(task: Task, device: Device, left: PinKey | null, range: () => string): void {
    const watch = this.watches.get(device.number);
    this.watches.delete(device.number);
    if (!watch || !left) return;
    const iova = addressOf(left.page, left.offset);
    const key = () => hexAddress(left.page, left.offset);
    task.advise('IGNORED_INVALIDATION', [device.id], iova, () => {
      return `${device.id} returned from dma_unmap of ${range()} with its pin at ${key()} still there`;
    });
    if (watch.atStart === 0 || watch.elsewhere > 0) return;
    task.advise('START_ONLY_CHECK', [device.id], iova, () => {
      return `${device.id} unpinned only in the first page of ${range()}, but holds ${key()}`;
    });
  }

  /**
   * A device was closed for the last time.
   *
   * @param held references it leaves behind, and the first of them (null: none)
   */
  protected deviceClosed(task: Task, device: Device, first: PinKey | null, held: number): void {
    this.stolen.deleteOf(device.number);
    if (!first) return;
    const text = () => `${device.id} was closed holding ${held} references to pages`;
    task.advise('PIN_LEAKED_AT_CLOSE', [device.id], addressOf(first.page, first.offset), text);
  }
}

function sentence(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('; ');
}

/** What a device holds near a page, lowest first, in words: ``, `d0 holds 0x1000`, `d0 holds 0x1000 and 0x5000`. */
export function nearest(device: Device, page: number, pins: Iterable<PinKey>): string {
  let below: PinKey | null = null;
  let above: PinKey | null = null;
  // A frame number taken for an address, or an address that was shifted twice.
  let shifted: PinKey | null = null;
  const times = [Math.floor(page / 4096), page * 4096];
  for (const pin of pins) {
    if (times.includes(pin.page)) shifted ??= pin;
    if (pin.page <= page) below = pin;
    else {
      above ??= pin;
      if (shifted || pin.page > times[1]!) break;
    }
  }
  const keys = [...new Set([shifted, below, above])].filter((pin) => pin !== null);
  if (keys.length === 0) return '';
  keys.sort((a, b) => a.page - b.page);
  const named = keys.map(({ page: at, offset, npage }) => describe(at, offset, npage));
  return `${device.id} holds ${named.join(' and ')}`;
}

/** `0x3000`, or `0x3000 (4 pages)`. */
function describe(page: number, offset: number, npage: number): string {
  return npage === 1 ? hexAddress(page, offset) : `${hexAddress(page, offset)} (${npage} pages)`;
}
