import type { VfioApSaved } from '../../../schemas/drivers/vfio-ap.ts';
import type { Lock } from '../../kernel/lock.ts';
import { hex } from '../../kernel/pages.ts';
import type { HostCodec, WrongState } from '../model.ts';
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
export function saveMatrixDev(matrixDev: MatrixDev, { saveLock }: HostCodec): Saved {
  const { hardware, bus, mdevList } = matrixDev;
  return {
    adapters: hardware.adapters(),
    domains: hardware.config.aqm.list(),
    scanned: saveMatrix(bus.scanned),
    queues: bus.all().map(([apqn, q]) => saveQueue(apqn, q)),
    ...hardware.saveInjected(),
    madeWith: [...matrixDev.madeWith].sort((a, b) => a - b),
    guests: matrixDev.allGuests().map((guest) => saveGuest(guest, saveLock)),
    mdevs: mdevList.map(saveMdev),
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

function saveMdev(mdev: MatrixMdev): Saved['mdevs'][number] {
  return {
    device: mdev.id,
    queues: [...mdev.apqns],
    matrix: saveMatrix(mdev.matrix),
    shadow: saveMatrix(mdev.shadowApcb),
    added: saveMatrix(new ApMatrix(mdev.apmAdd, mdev.aqmAdd)),
    guest: mdev.kvm?.id ?? null,
    linked: mdev.qtable.list().map(({ apqn }) => apqn),
    pinned: mdev.pinned.map(hex),
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

  /** @returns what is wrong, or null */
  restore(saved: Saved): WrongState | null {
    const { hardware, bus } = this.matrixDev;
    hardware.restore(saved);
    this.matrixDev.info = matrixOf(saved.scanned);
    for (const apqn of saved.madeWith) this.matrixDev.madeWith.add(apqn);
    this.distinct(
      'queues',
      saved.queues.map(({ apqn }) => apqn),
    );
    this.distinct(
      'guests',
      saved.guests.map(({ guest }) => guest),
    );
    this.distinct(
      'mdevs',
      saved.mdevs.map(({ device }) => device),
    );
    const queues = saved.queues.map((queue, i) => this.queue(queue, `queues/${i}/mdev`));
    bus.restore(matrixOf(saved.scanned), queues);
    for (const [i, guest] of saved.guests.entries()) this.guest(guest, `guests/${i}`);
    for (const [i, mdev] of saved.mdevs.entries()) this.mdev(mdev, `mdevs/${i}`);
    if (saved.mdevs.length !== this.mdevs.size) {
      this.refuse(
        'mdevs',
        `has ${saved.mdevs.length} devices, but there are ${this.mdevs.size} of this type`,
      );
    }
    this.lock(this.matrixDev.mdevsLock, saved.locks.mdevs, 'locks/mdevs');
    this.lock(this.matrixDev.guestsLock, saved.locks.guests, 'locks/guests');
    this.lock(this.matrixDev.permsLock, saved.locks.perms, 'locks/perms');
    return this.wrong;
  }

  private refuse(field: string, rule: string): void {
    this.wrong ??= { field, rule };
  }

  private distinct(field: string, values: readonly (string | number)[]): void {
    if (new Set(values).size < values.length) this.refuse(field, 'has one of them twice');
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
    const guest = this.matrixDev.guestOf(saved.guest);
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

  private mdev(saved: Saved['mdevs'][number], field: string): void {
    const mdev = this.mdevOf(saved.device, `${field}/device`);
    if (!mdev) return;
    mdev.apqns = saved.queues;
    mdev.matrix = matrixOf(saved.matrix);
    mdev.shadowApcb = matrixOf(saved.shadow);
    mdev.apmAdd = new ApMask(saved.added.adapters);
    mdev.aqmAdd = new ApMask(saved.added.domains);
    mdev.kvm = saved.guest === null ? null : this.matrixDev.guestOf(saved.guest);
    mdev.pinned.push(...saved.pinned.map(BigInt));
    this.matrixDev.mdevList.push(mdev);
    // The table puts each one before those of its bucket.
    for (const [i, apqn] of [...saved.linked.entries()].reverse()) {
      const q = this.matrixDev.bus.boundQueue(apqn);
      if (q) mdev.qtable.add(q);
      else this.refuse(`${field}/linked/${i}`, `is ${apqn}, which is no queue that is bound`);
    }
    if (mdev.qtable.list().some(({ apqn }, i) => apqn !== saved.linked[i])) {
      this.refuse(`${field}/linked`, 'is not in the order of a table');
    }
  }
}
