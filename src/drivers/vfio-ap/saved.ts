import type { VfioApSaved } from '../../../schemas/drivers/vfio-ap.ts';
import type { Lock } from '../../kernel/lock.ts';
import { hex } from '../../kernel/pages.ts';
import { each } from '../../kernel/saved/each.ts';
import type { ListOf } from '../../kernel/vfio/container.ts';
import { AT_ONCE, type HostCodec, notAscending, type WrongState } from '../model.ts';
import type { ApGuest } from './guest.ts';
import { ApMask, ApMatrix } from './masks.ts';
import type { MatrixDev } from './matrix-dev.ts';
import type { MatrixMdev } from './mdev.ts';
import { VfioApQueue } from './queue.ts';

type Saved = VfioApSaved;
type SavedMatrix = Saved['mdevs'][number]['matrix'];

const saveMatrix = ({ apm, aqm }: ApMatrix): SavedMatrix => ({ adapters: apm.list(), domains: aqm.list() });
const matrixOf = ({ adapters, domains }: SavedMatrix) =>
  new ApMatrix(new ApMask(adapters), new ApMask(domains));

/** The AP side of a host as a snapshot has it. */
export function saveMatrixDev(matrixDev: MatrixDev, { saveLock }: HostCodec, list: ListOf): Saved {
  const { hardware, bus, mdevList } = matrixDev;
  return {
    adapters: hardware.adapters(),
    domains: hardware.config.aqm.list(),
    scanned: saveMatrix(bus.scanned),
    queues: bus.all().map(([apqn, q]) => saveQueue(apqn, q)),
    ...hardware.saveInjected(),
    madeWith: [...matrixDev.madeWith].sort((a, b) => a - b),
    guests: matrixDev.allGuests().map((guest) => saveGuest(guest, saveLock)),
    mdevs: mdevList.map((mdev) => saveMdev(mdev, list)),
    locks: {
      mdevs: saveLock(matrixDev.mdevsLock),
      guests: saveLock(matrixDev.guestsLock),
      perms: saveLock(matrixDev.permsLock),
    },
  };
}

function saveQueue(apqn: number, q: VfioApQueue | null): Saved['queues'][number] {
  return {
    apqn,
    bound: q !== null,
    mdev: q?.matrixMdev?.id ?? null,
    savedIova: q && q.savedIova !== 0n ? hex(q.savedIova) : null,
    savedIsc: q?.savedIsc ?? null,
    resetResponse: q?.resetResponse ?? 0,
  };
}

function saveGuest(guest: ApGuest, saveLock: HostCodec['saveLock']): Saved['guests'][number] {
  return {
    guest: guest.id,
    hook: guest.hook?.id ?? null,
    masks: saveMatrix(guest.masks),
    iscs: [...guest.iscs].sort(([a], [b]) => a - b).map(([isc, count]) => ({ isc, count })),
    crycb: guest.crycb,
    aiv: guest.aiv,
    memorySlots: guest.memorySlots,
    protected: guest.protected,
    nibShared: guest.sharesNib,
    lock: saveLock(guest.lock),
    hookLock: saveLock(guest.hookSem),
  };
}

function saveMdev(mdev: MatrixMdev, list: ListOf): Saved['mdevs'][number] {
  return {
    device: mdev.id,
    queues: [...mdev.apqns],
    matrix: saveMatrix(mdev.matrix),
    shadow: saveMatrix(mdev.shadowApcb),
    added: saveMatrix(new ApMatrix(mdev.apmAdd, mdev.aqmAdd)),
    guest: mdev.kvm?.id ?? null,
    linked: mdev.qtable.list().map(({ apqn }) => apqn),
    pinned: list(each(mdev.pinned, hex)),
  };
}

/** Brings a fresh AP side, whose mdevs are made but not probed, into a saved state. */
export class MatrixDevRestorer {
  private wrong: WrongState | null = null;
  private readonly mdevs: ReadonlyMap<string, MatrixMdev>;

  constructor(
    private readonly matrixDev: MatrixDev,
    mdevs: readonly MatrixMdev[],
    private readonly codec: HostCodec,
  ) {
    this.mdevs = new Map(mdevs.map((mdev) => [mdev.id, mdev]));
  }

  /**
   * Stops now and then.
   *
   * @returns what is wrong, or null
   */
  *restore(saved: Saved): Generator<void, WrongState | null> {
    yield* this.check(saved);
    if (this.wrong) return this.wrong;
    yield;
    const { hardware, bus } = this.matrixDev;
    yield* hardware.restore(saved);
    this.matrixDev.info = matrixOf(saved.scanned);
    for (const apqn of saved.madeWith) this.matrixDev.madeWith.add(apqn);
    const queues: [number, VfioApQueue | null][] = [];
    for (const [i, queue] of saved.queues.entries()) {
      queues.push(this.queue(queue, `queues/${i}/mdev`));
      if (i % AT_ONCE === 0) yield;
    }
    bus.restore(matrixOf(saved.scanned), queues);
    for (const [i, guest] of saved.guests.entries()) {
      this.guest(guest, `guests/${i}`);
      yield;
    }
    for (const [i, mdev] of saved.mdevs.entries()) yield* this.mdev(mdev, `mdevs/${i}`);
    this.lock(this.matrixDev.mdevsLock, saved.locks.mdevs, 'locks/mdevs');
    this.lock(this.matrixDev.guestsLock, saved.locks.guests, 'locks/guests');
    this.lock(this.matrixDev.permsLock, saved.locks.perms, 'locks/perms');
    return this.wrong;
  }

  /** What can be told before anything is made of it. */
  private *check({ adapters, queues, injected, guests, mdevs }: Saved): Generator<void, void> {
    this.distinct('adapters', adapters, ({ adapter }) => adapter);
    this.distinct('queues', queues, ({ apqn }) => apqn);
    this.distinct('guests', guests, ({ guest }) => guest);
    this.distinct('mdevs', mdevs, ({ device }) => device);
    this.wrong ??= yield* notAscending(
      'injected',
      each(injected, ({ apqn }) => apqn),
    );
    if (mdevs.length !== this.mdevs.size) {
      this.refuse('mdevs', `has ${mdevs.length} devices, but there are ${this.mdevs.size} of this type`);
    }
    const pins = mdevs.reduce((count, { pinned }) => count + pinned.length, 0);
    this.codec.checkPins(pins, 'mdevs');
  }

  private refuse(field: string, rule: string): void {
    this.wrong ??= { field, rule };
  }

  private distinct<T>(field: string, items: readonly T[], keyOf: (item: T) => string | number): void {
    if (new Set(items.map(keyOf)).size < items.length) this.refuse(field, 'has one of them twice');
  }

  private lock(lock: Lock, saved: Saved['locks']['mdevs'], field: string, shareable = false): void {
    this.codec.restoreLock(lock, saved, field, shareable);
  }

  private mdevOf(id: string | null, field: string): MatrixMdev | null {
    if (id === null) return null;
    const mdev = this.mdevs.get(id);
    if (!mdev) this.refuse(field, `is "${id}", which is no device of this type`);
    return mdev ?? null;
  }

  private queue(saved: Saved['queues'][number], field: string): [number, VfioApQueue | null] {
    const { apqn, bound, mdev, savedIova, savedIsc, resetResponse } = saved;
    if (!bound) {
      if (mdev !== null || savedIova !== null || savedIsc !== null) {
        this.refuse(field, 'must be null, and nothing saved: the queue is not bound');
      }
      return [apqn, null];
    }
    const q = new VfioApQueue(apqn);
    q.matrixMdev = this.mdevOf(mdev, field);
    q.savedIova = BigInt(savedIova ?? 0);
    q.savedIsc = savedIsc;
    q.resetResponse = resetResponse;
    return [apqn, q];
  }

  private guest(saved: Saved['guests'][number], field: string): void {
    const guest = this.matrixDev.restoredGuest(saved.guest);
    guest.hook = this.mdevOf(saved.hook, `${field}/hook`);
    guest.masks = matrixOf(saved.masks);
    for (const { isc, count } of saved.iscs) guest.iscs.set(isc, count);
    guest.crycb = saved.crycb;
    guest.aiv = saved.aiv;
    guest.memorySlots = saved.memorySlots;
    guest.protected = saved.protected;
    guest.sharesNib = saved.nibShared;
    this.lock(guest.lock, saved.lock, `${field}/lock`);
    this.lock(guest.hookSem, saved.hookLock, `${field}/hookLock`, true);
  }

  private *mdev(saved: Saved['mdevs'][number], field: string): Generator<void, void> {
    const mdev = this.mdevOf(saved.device, `${field}/device`);
    if (!mdev) return;
    mdev.apqns = saved.queues;
    mdev.matrix = matrixOf(saved.matrix);
    mdev.shadowApcb = matrixOf(saved.shadow);
    mdev.apmAdd = new ApMask(saved.added.adapters);
    mdev.aqmAdd = new ApMask(saved.added.domains);
    mdev.kvm = saved.guest === null ? null : this.matrixDev.restoredGuest(saved.guest);
    for (const [i, key] of saved.pinned.entries()) {
      mdev.pinned.add(BigInt(key));
      if (i % AT_ONCE === 0) yield;
    }
    this.matrixDev.mdevList.push(mdev);
    yield* this.table(mdev, saved.linked, `${field}/linked`);
  }

  private *table(mdev: MatrixMdev, linked: readonly number[], field: string): Generator<void, void> {
    this.distinct(field, linked, (apqn) => apqn);
    // The table puts each one before those of its bucket.
    for (let i = linked.length - 1; i >= 0; i--) {
      const q = this.matrixDev.bus.boundQueue(linked[i]!);
      if (q) mdev.qtable.add(q);
      else this.refuse(`${field}/${i}`, `is ${linked[i]}, which is no queue that is bound`);
      if (i % AT_ONCE === 0) yield;
    }
    if (mdev.qtable.list().some(({ apqn }, i) => apqn !== linked[i])) {
      this.refuse(field, 'is not in the order of a table');
    }
  }
}
