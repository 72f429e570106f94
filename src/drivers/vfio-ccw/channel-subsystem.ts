import type { ChannelSubsystemState } from '../../../schemas/drivers/vfio-ccw.ts';
import type { DriverApi } from '../../kernel/driver.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { AT_ONCE, type ModelHost, type WrongState } from '../model.ts';
import { Subchannel } from './subchannel.ts';

/** Subchannels without a device that are remembered. */
const FORMER_MAX = 256;

/** One work item of the driver's workqueue. */
interface Work {
  readonly owner: WorkOwner;
  readonly kind: WorkKind;
}
/**
 * `io`: the interrupt's (vfio_ccw_sch_io_todo); `notoper`: vfio_ccw_notoper_todo; `unregister`: not the driver's, but
 * the channel subsystem's own (SCH_TODO_UNREG).
 */
export type WorkKind = (typeof WORK_KINDS)[number];
export const WORK_KINDS = ['io', 'notoper', 'unregister'] as const;

/** What the thread needs of the task that gives it time. */
type Devices = Pick<DriverApi, 'forDevice'>;

/** A device whose work it is. */
export interface WorkOwner {
  readonly id: string;
  /** Runs the work, within whatever task gives the thread time. */
  work(kind: WorkKind, api: Devices): KernelStep<void>;
}

/**
 * What all vfio-ccw devices of a host share: the subchannels, and the driver's workqueue with its one thread
 * (vfio_ccw_work_q). The thread runs where the process waits: in `ccw-interrupt` and where the driver itself sleeps
 * for it. So deferred work is late unless told otherwise, as in the recordings.
 */
export class ChannelSubsystem implements ModelHost {
  private readonly subchannels = new Map<string, Subchannel>();
  /** Subchannels that lost their device, by its id, earliest first: it may be made on it again. */
  private readonly former = new Map<string, Subchannel>();
  private readonly queue: Work[] = [];
  /** Items that were put back, by their places; until all devices are there. */
  private readonly restored = new Map<number, Work>();
  /** Whether the warning about prefetching was printed: the kernel prints one in five seconds. */
  warnedPrefetch = false;

  /** The subchannel a device is made on: the one a device of this id had before, if any. */
  subchannel(device: string, enabledAtProbe: boolean): Subchannel {
    const sch = this.former.get(device) ?? new Subchannel(this.freeNumber(), enabledAtProbe);
    this.former.delete(device);
    this.subchannels.set(device, sch);
    return sch;
  }

  private freeNumber(): number {
    const taken = new Set(
      [...this.subchannels.values(), ...this.former.values()].map(({ number }) => number),
    );
    let number = 0;
    while (taken.has(number)) number++;
    return number;
  }

  /** A device is gone, with what it has queued. Its subchannel is remembered where it is not as it was at first. */
  remove(device: string, sch: Subchannel, enabledAtProbe: boolean): void {
    for (const kind of WORK_KINDS) this.cancel(device, kind);
    this.subchannels.delete(device);
    if (sch.isAsNew(enabledAtProbe)) return;
    this.former.set(device, sch);
    if (this.former.size > FORMER_MAX) this.former.delete(this.former.keys().next().value!);
  }

  save(): ChannelSubsystemState | null {
    const { warnedPrefetch, former } = this;
    if (!warnedPrefetch && former.size === 0) return null;
    return {
      warnedPrefetch,
      former: [...former].map(([device, sch]) => ({ device, subchannel: sch.save() })),
    };
  }

  restore({ warnedPrefetch, former }: ChannelSubsystemState): void {
    this.warnedPrefetch = warnedPrefetch;
    for (const { device, subchannel } of former) {
      const sch = new Subchannel(subchannel.number, subchannel.enabled);
      sch.restore(subchannel);
      this.former.set(device, sch);
    }
  }

  /** queue_work: nothing where it is queued already. */
  queueWork(owner: WorkOwner, kind: WorkKind): void {
    if (!this.isQueued(owner.id, kind)) this.queue.push({ owner, kind });
  }

  isQueued(device: string, kind: WorkKind): boolean {
    return this.placeOf(device, kind) !== null;
  }

  /** cancel_work. */
  cancel(device: string, kind: WorkKind): void {
    const at = this.placeOf(device, kind);
    if (at !== null) this.queue.splice(at, 1);
  }

  /** Puts an item back where it was, once all are there. */
  restoreWork(owner: WorkOwner, kind: WorkKind, place: number): void {
    this.restored.set(place, { owner, kind });
  }

  /** Whose item was put back at a place; null: none was. */
  restoredAt(place: number): string | null {
    return this.restored.get(place)?.owner.id ?? null;
  }

  /** Items are put back in any order, but for each place there is one. */
  *settle(): Generator<void, WrongState | null> {
    const { restored, queue } = this;
    for (let place = 0; place < restored.size; place++) {
      const work = restored.get(place);
      if (!work) {
        const [beyond, { owner }] = [...restored].find(([at]) => at > place)!;
        return { field: '', rule: `has no work at place ${place}, but "${owner.id}" has one at ${beyond}` };
      }
      queue.push(work);
      if (place % AT_ONCE === AT_ONCE - 1) yield;
    }
    restored.clear();
    return null;
  }

  idle(api: Devices): KernelStep<unknown> {
    return this.flush(api);
  }

  /** flush_work: waits for one item, and so for those before it. */
  *flushWork(device: string, kind: WorkKind, api: Devices): KernelStep<void> {
    const at = this.placeOf(device, kind);
    if (at !== null) yield* this.run(at + 1, api);
  }

  /**
   * flush_workqueue: waits for everything that is queued.
   *
   * @returns how many items there were
   */
  *flush(api: Devices): KernelStep<number> {
    const queued = this.queue.length;
    yield* this.run(queued, api);
    return queued;
  }

  /** Place of an item in the queue, from 0; null where it is not queued. */
  placeOf(device: string, kind: WorkKind): number | null {
    const at = this.queue.findIndex((work) => work.owner.id === device && work.kind === kind);
    return at < 0 ? null : at;
  }

  private *run(items: number, api: Devices): KernelStep<void> {
    for (let i = 0; i < items; i++) {
      const work = this.queue.shift();
      if (!work) return;
      yield* work.owner.work(work.kind, api);
    }
  }
}
