import type { Errno } from '../errno.ts';
import { hex, pageOf, TOP } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import { type KernelStep, RESCHED, type Task } from '../task.ts';
import { adviseNoCallback, adviseNothing } from '../unmap-advice.ts';
import type { Device } from '../vfio/device.ts';
import { iommufdAccessNotifyUnmap } from './access.ts';
import { ioptAreaUnfillDomain } from './domain.ts';
import type { Ioas } from './ioas.ts';
import { leftoverPins } from './leftover-pins.ts';
import { at } from './map.ts';

/** Rounds of callbacks for one start of the walk after which an unmap gives up at the next. */
const MAX_TRIES = 100;
/** How often the devices of one mapping are called at most. */
export const UNMAP_ATTEMPTS: number = MAX_TRIES + 1;

/** What an unmap came to: bytes unmapped, and why it ended before it was through. */
export interface IovaUnmapped {
  readonly size: bigint;
  readonly errno: Errno | null;
}

/**
 * iopt_unmap_iova. Neither iova nor size need be aligned; only what is mapped counts.
 *
 * @returns EINVAL for size 0; EOVERFLOW beyond 2^64; otherwise see ioptUnmapIovaRange
 */
export function* ioptUnmapIova(
  task: Task,
  ioas: Ioas,
  iova: bigint,
  size: bigint,
): KernelStep<Errno | IovaUnmapped> {
  if (size === 0n) return task.refuse('EINVAL', 'size is 0');
  const last = iova + size - 1n;
  if (last >= TOP) return task.refuse('EOVERFLOW', `iova ${hex(iova)} + size ${hex(size)} is beyond 2^64`);
  return yield* ioptUnmapIovaRange(task, ioas, iova, last);
}

/** iopt_unmap_all. */
export function ioptUnmapAll(task: Task, ioas: Ioas): KernelStep<IovaUnmapped> {
  return ioptUnmapIovaRange(task, ioas, 0n, TOP - 1n);
}

/**
 * iopt_unmap_iova_range: unmaps what lies in [start, last], lowest first. A mapping with pins is closed, and every
 * attached mdev is called back until its pins are gone, without a lock: whatever else happens meanwhile happens.
 *
 * @returns what was unmapped, with ENOENT at a mapping that sticks out of the range; or with EDEADLK after 101 rounds
 *   for the same start (WARN_ON(tries > 100)), which leaves that mapping closed
 */
function ioptUnmapIovaRange(task: Task, ioas: Ioas, start: bigint, last: bigint): KernelStep<IovaUnmapped> {
  return new Unmap(task, ioas, start, last).run();
}

/** What an unmap of [iova, iova+size) that succeeded does not say: why it removed nothing, or called nobody back. */
export function adviseUnmapped(task: Task, ioas: Ioas, iova: bigint, size: bigint, unmapped: bigint): void {
  if (task.kernel.adviseNoCallback) adviseNoCallback(task, iova, ioas.callees);
  if (unmapped > 0n) return;
  const removed = ioas.container.history.removedIn(pageOf(iova), pageOf(iova + size - 1n) + 1);
  if (removed) adviseNothing(task, iova, `nothing is mapped there: ${removed}`);
}

/** One unmap on its way. */
class Unmap {
  private unmapped = 0n;
  /** Rounds since the walk last started somewhere else (`tries`): mappings without a gap between them share it. */
  private tries = 0;
  private round = 0;

  constructor(
    private readonly task: Task,
    private readonly ioas: Ioas,
    private start: bigint,
    private readonly last: bigint,
  ) {}

  *run(): KernelStep<IovaUnmapped> {
    const { task, ioas, last } = this;
    const { areas } = ioas;
    const end = at(last);
    for (;;) {
      const slot = areas.iterFirst(at(this.start), end);
      if (slot === NIL) return this.result();
      const areaFirst = areas.iova(slot);
      const areaLast = areas.lastIova(slot);
      if (areaFirst < this.start || areaLast > last) {
        const range = `${hex(this.start)} to ${hex(last)}`;
        return this.result(
          task.refuse('ENOENT', `the mapping ${areas.describe(slot)} sticks out of ${range}`),
        );
      }
      if (areaFirst !== this.start) this.tries = 0;
      this.start = areaFirst;
      if (areas.numAccesses[slot] !== 0) {
        areas.setPreventAccess(slot, true);
        yield* this.notify(areaFirst, areaLast - areaFirst + 1n);
        this.tries++;
        if (this.tries > MAX_TRIES) return this.giveUp(areaFirst, areaLast - areaFirst + 1n);
        continue;
      }
      if (ioas.hasDomain) ioptAreaUnfillDomain(task, ioas, slot);
      const { history } = ioas.container;
      history.noteRemoval(task, pageOf(areaFirst), pageOf(areaLast) + 1 - pageOf(areaFirst));
      areas.remove(slot);
      this.unmapped += areaLast - areaFirst + 1n;
      if (areaLast >= last) return this.result();
      // Onwards, so that a mapping made meanwhile below is left alone.
      this.start = areaLast + 1n;
      if (task.worked()) yield RESCHED;
    }
  }

  private result(errno: Errno | null = null): IovaUnmapped {
    return { size: this.unmapped, errno };
  }

  private giveUp(iova: bigint, size: bigint): IovaUnmapped {
    const { task, ioas, tries } = this;
    const slot = ioas.areas.find(pageOf(iova));
    const left = slot === NIL ? { pins: [], pinCount: 0 } : leftoverPins(task, ioas, slot);
    task.warn('F1', { device: left.pins[0]?.devices[0]?.device, iova, size, attempt: tries, ...left });
    const range = `${hex(iova)}+${hex(size)}`;
    const holders = new Set(left.pins.flatMap(({ devices }) => devices.map(({ device }) => device)));
    const text = `the mapping ${range} is closed: nothing in it can be pinned or copied until it is unmapped`;
    if (left.pinCount > 0) task.advise('RANGE_CLOSED', [...holders], iova, text);
    const why = `${tries} rounds of callbacks left pins in the mapping ${range}`;
    return this.result(task.refuse('EDEADLK', why));
  }

  /** One round: the mapping's whole range, to every attached mdev. */
  private *notify(iova: bigint, length: bigint): KernelStep<void> {
    if (this.ioas.accessList.length === 0) return;
    this.round++;
    yield* iommufdAccessNotifyUnmap(this.task, this.ioas, (device) => this.deliver(device, iova, length));
  }

  private *deliver(device: Device, iova: bigint, length: bigint): KernelStep<void> {
    const { task, ioas, round } = this;
    task.noteInvalidation({ device: device.id, iova, length, attempt: this.tries + 1, round });
    ioas.shadow.callbackStarts(device, pageOf(iova));
    const running = task.kernel.dmaUnmap(task, device, iova, length);
    if (running) yield* running;
    task.inDmaUnmap = null;
    ioas.shadow.callbackEnds(task, ioas, device, iova);
  }
}
