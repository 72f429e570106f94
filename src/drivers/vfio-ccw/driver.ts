import type { CcwState, VfioCcwConfig, VfioCcwState } from '../../../schemas/drivers/vfio-ccw.ts';
import type { DriverApi, MdevDriver, NotifyResult } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { Lock } from '../../kernel/lock.ts';
import { hex } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import type { ChannelProgram } from './channel-program.ts';
import type { ChannelSubsystem, WorkKind, WorkOwner } from './channel-subsystem.ts';
import { Cio } from './cio.ts';
import type { Orb } from './orb.ts';
import { restoreState, saveState } from './saved.ts';
import { isFinal, isSolicited, type Scsw, type Subchannel } from './subchannel.ts';
import { type Holding, Vdev } from './vdev.ts';

/** Events of the driver's FSM, as its trace event names them. */
export type CcwEvent = 'NOT_OPER' | 'IO_REQ' | 'INTERRUPT' | 'ASYNC_REQ' | 'OPEN' | 'CLOSE';

/** The states' numbers in messages. */
const STATE_NUMBER: Readonly<Record<CcwState, number>> = {
  NOT_OPER: 0,
  STANDBY: 1,
  IDLE: 2,
  CP_PROCESSING: 3,
  CP_PENDING: 4,
};

/** What a write to the I/O region asks for: the ORB, and the SCSW's functions. */
export interface IoRequest {
  readonly orb: Orb;
  readonly start: boolean;
  readonly halt: boolean;
  readonly clear: boolean;
}

/** Where a device is made: its id, its subchannel, and what it shares with the others of its host. */
export interface Place {
  readonly id: string;
  readonly css: ChannelSubsystem;
  readonly sch: Subchannel;
}

/**
 * vfio_ccw: one subchannel of s390 channel I/O. While a channel program runs, the pages it touches are pinned.
 *
 * Here is what the eras share: the regions, the FSM's requests, interrupts. An era's file has the rest, in the
 * kernel's words. `io_mutex` (ownLock) is taken where the kernel takes it, and nowhere else.
 */
export abstract class VfioCcwDriver implements MdevDriver, WorkOwner {
  readonly hasDmaUnmap = true;
  readonly ownLock: Lock = new Lock('io_mutex');
  fsm: CcwState;
  readonly cio: Cio;
  /** Status of the last interrupt, and what of it is in the I/O region. */
  irb: Scsw | null = null;
  region: Scsw | null = null;
  /** Callbacks since the work of a subchannel that is not operational was queued. */
  callbacksSinceWork = 0;
  /** Where it is to stop, once: a race of which a test decides how it goes (ccw-hold). */
  readonly holding: Holding = { at: null };
  /** References that the driver believes to hold, by key. */
  readonly held = new Map<bigint, number>();

  constructor(
    readonly config: VfioCcwConfig,
    readonly place: Place,
    readonly cp: ChannelProgram,
    created: CcwState,
  ) {
    this.cio = new Cio(place.sch);
    this.fsm = created;
  }

  get id(): string {
    return this.place.id;
  }

  abstract openDevice(api: DriverApi): KernelStep<Errno | null>;
  abstract closeDevice(api: DriverApi): KernelStep<void>;
  abstract remove(api: DriverApi, open: boolean): KernelStep<void>;
  abstract dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<NotifyResult | void>;
  /** The RESET ioctl (vfio_ccw_mdev_reset). */
  abstract reset(api: DriverApi): KernelStep<Errno | null>;

  stopHolding(): boolean {
    this.holding.at = null;
    return true;
  }

  state(most: number): object {
    return saveState(this, most);
  }

  restore(state: VfioCcwState): Generator<void, void> {
    return restoreState(this, state);
  }

  /** What its calls answer: the FSM's state, and what the channel program has pinned. */
  answer(most: number): { fsm: CcwState; pinned: { iova: string; npage: number }[]; pinnedPages: number } {
    const runs = this.cp.runs();
    return {
      fsm: this.fsm,
      pinned: runs.slice(0, most).map(({ iova, npage }) => ({ iova: hex(iova), npage })),
      pinnedPages: runs.reduce((pages, { npage }) => pages + npage, 0),
    };
  }

  /** The driver's struct vfio_device within a task. */
  vdev(api: DriverApi, worker = false): Vdev {
    return new Vdev(api, this.id, this.held, worker, this.holding);
  }

  /** vfio_ccw_mdev_write_io_region. */
  *writeIoRegion(api: DriverApi, request: IoRequest): KernelStep<Errno | null> {
    if (!api.tryLock(this.ownLock)) return this.inUse(api);
    const vdev = this.vdev(api);
    this.trace(vdev, 'IO_REQ');
    const errno = yield* this.ioRequest(vdev, request);
    api.unlock(this.ownLock);
    return errno;
  }

  /** IO_REQ in each state: fsm_io_error, fsm_io_request, fsm_io_retry, fsm_io_busy. */
  private *ioRequest(vdev: Vdev, request: IoRequest): KernelStep<Errno | null> {
    switch (this.fsm) {
      case 'NOT_OPER':
      case 'STANDBY':
        vdev.api.prWarn(`vfio-ccw: FSM: I/O request from state:${STATE_NUMBER[this.fsm]}`);
        return vdev.api.refuse('EIO', `the subchannel is ${this.fsm}`);
      case 'CP_PROCESSING':
        return this.inUse(vdev.api);
      case 'CP_PENDING':
        return vdev.api.refuse('EBUSY', 'a channel program is running');
      case 'IDLE':
        return yield* this.fsmIoRequest(vdev, request);
    }
  }

  private *fsmIoRequest(vdev: Vdev, { orb, start, halt, clear }: IoRequest): KernelStep<Errno | null> {
    const { api } = vdev;
    this.fsm = 'CP_PROCESSING';
    let errno: Errno | null = null;
    if (start && orb.b) {
      errno = api.refuse('EOPNOTSUPP', 'the ORB asks for transport mode');
    } else if (start) {
      errno = yield* this.runProgram(vdev, orb);
      if (!errno) {
        this.irq(vdev);
        return null;
      }
    } else if (halt || clear) {
      errno = api.refuse('EOPNOTSUPP', 'halt and clear are for the async command region');
    }
    this.fsm = 'IDLE';
    return errno;
  }

  private *runProgram(vdev: Vdev, orb: Orb): KernelStep<Errno | null> {
    const { css, id } = this.place;
    if (!orb.pfch && !this.cp.initialized && !css.warnedPrefetch) {
      css.warnedPrefetch = true;
      const what = 'Prefetching channel program even though prefetch not specified in ORB';
      vdev.api.prWarn(`${this.driverName} ${id}: ${what}`);
    }
    const errno = yield* this.cp.init(vdev, orb);
    if (errno) return errno;
    const failed = (yield* this.cp.prefetch(vdev)) ?? this.fsmIoHelper(vdev, orb);
    if (failed) yield* this.cp.free(vdev);
    return failed;
  }

  /** The driver that an mdev's messages name. */
  protected readonly driverName: string = 'vfio_ccw_mdev';

  private fsmIoHelper(vdev: Vdev, orb: Orb): Errno | null {
    const { sch } = this.place;
    const { lpm } = sch;
    const cc = this.cio.ssch(this.cp, orb.spnd, lpm);
    switch (cc) {
      case 0:
        this.fsm = 'CP_PENDING';
        return null;
      case 1:
      case 2:
        return vdev.api.refuse('EBUSY', `SSCH was answered condition code ${cc}`);
      case 3:
        // The paths the ORB named are gone for good (finding 3).
        sch.lpm &= ~lpm;
        return vdev.api.refuse('ENODEV', 'SSCH was answered condition code 3: no path is left');
      default:
        return vdev.api.refuse(cc, 'the channel subsystem answered SSCH so');
    }
  }

  /** vfio_ccw_async_region_write. The program's pages stay pinned until the interrupt that tells its end. */
  *writeAsyncRegion(api: DriverApi, command: 'halt' | 'clear'): KernelStep<Errno | null> {
    if (!api.tryLock(this.ownLock)) return this.inUse(api);
    const vdev = this.vdev(api);
    this.trace(vdev, 'ASYNC_REQ');
    const errno = this.asyncRequest(vdev, command);
    api.unlock(this.ownLock);
    return errno;
  }

  /** ASYNC_REQ in each state: fsm_async_error, fsm_async_request, fsm_async_retry. */
  private asyncRequest(vdev: Vdev, command: 'halt' | 'clear'): Errno | null {
    const { api } = vdev;
    if (this.fsm === 'NOT_OPER' || this.fsm === 'STANDBY') {
      api.prWarn(`vfio-ccw: FSM: ${command} request from state:${STATE_NUMBER[this.fsm]}`);
      return api.refuse('EIO', `the subchannel is ${this.fsm}`);
    }
    if (this.fsm === 'CP_PROCESSING') return this.inUse(api);
    const cc = command === 'halt' ? this.cio.hsch() : this.cio.csch();
    if (cc === 0) this.irq(vdev);
    if (typeof cc === 'string') return api.refuse(cc, `the channel subsystem answered ${command} so`);
    if (cc === 0) return null;
    const errno = cc === 3 ? 'ENODEV' : 'EBUSY';
    return api.refuse(errno, `${command} was answered condition code ${cc}`);
  }

  /** An interrupt is taken as soon as the subchannel's lock is free (vfio_ccw_sch_irq). */
  protected irq(vdev: Vdev): void {
    const scsw = this.cio.interrupt();
    if (!scsw) return;
    this.trace(vdev, 'INTERRUPT');
    if (this.disregardsIrq()) {
      // fsm_disabled_irq
      this.cio.disable();
      return;
    }
    // fsm_irq
    this.irb = scsw;
    this.place.css.queueWork(this, 'io');
  }

  /** Whether an interrupt is one of a subchannel that should be disabled. */
  protected abstract disregardsIrq(): boolean;

  *work(kind: WorkKind, api: Pick<DriverApi, 'forDevice'>): KernelStep<void> {
    const vdev = this.vdev(api.forDevice(this.id), true);
    if (kind === 'io') yield* this.schIoTodo(vdev);
    else if (kind === 'notoper') yield* this.notoperTodo(vdev);
    else this.unregister(vdev.api);
  }

  /** vfio_ccw_sch_io_todo: the interrupt's work. A final one gives the program's pages back. */
  protected *schIoTodo(vdev: Vdev): KernelStep<void> {
    const irb = this.irb!;
    yield* vdev.api.lock(this.ownLock);
    const finished = isSolicited(irb) && isFinal(irb) && this.fsm === 'CP_PENDING';
    if (finished) yield* this.cp.free(vdev);
    this.region = irb;
    if (finished) this.fsm = 'IDLE';
    vdev.api.unlock(this.ownLock);
    vdev.signal();
  }

  /** vfio_ccw_notoper_todo. */
  protected *notoperTodo(vdev: Vdev): KernelStep<void> {
    yield* vdev.api.lock(this.ownLock);
    yield* this.cp.free(vdev);
    vdev.api.unlock(this.ownLock);
  }

  /** The subchannel is taken away: the user is asked to close the device (vfio_ccw_mdev_request). */
  private unregister(api: DriverApi): void {
    const { sch } = this.place;
    sch.unregistering = 'done';
    api.prWarn(`vfio_ccw ${sch.name}: MDEV: Unregistering`);
    if (api.isOpen()) this.request(api);
  }

  /** css_sched_sch_todo(SCH_TODO_UNREG). */
  protected scheduleUnregister(): void {
    const { css, sch } = this.place;
    if (sch.unregistering !== 'no') return;
    sch.unregistering = 'scheduled';
    css.queueWork(this, 'unregister');
  }

  /**
   * The loop of vfio_ccw_sch_quiesce. Only EIO ends it; any other failure is overwritten by the disable that
   * follows (finding 4 of the recordings).
   */
  protected *cancelUntilDisabled(vdev: Vdev): KernelStep<Errno | null> {
    const { css, sch } = this.place;
    let errno: Errno | null;
    do {
      if (this.cio.cancelHaltClear() === 'EIO') {
        vdev.api.prWarn(`vfio_ccw: could not quiesce subchannel ${sch.name}!`);
        return 'EIO';
      }
      this.irq(vdev);
      yield* css.flush(vdev.api);
      errno = this.cio.disable();
    } while (errno === 'EBUSY');
    return errno;
  }

  /** vfio_ccw_mdev_request, with no eventfd for it. */
  protected request(api: DriverApi): void {
    const what = 'No device request channel registered, blocked until released by user';
    api.prWarn(`${this.driverName} ${this.id}: ${what}`);
  }

  /**
   * The process waits for the I/O eventfd, and the workqueue has time. Where no interrupt is on its way the program
   * that is held or runs ends now, well.
   *
   * @returns how often the eventfd was signalled
   */
  *interrupt(api: DriverApi): KernelStep<number> {
    const vdev = this.vdev(api);
    const { css, sch } = this.place;
    if (!css.isQueued(this.id, 'io')) {
      sch.finish();
      this.irq(vdev);
    }
    yield* css.flush(api);
    return vdev.takeSignals();
  }

  /**
   * The process waits, for nothing, and the workqueue has time.
   *
   * @returns how often the eventfd was signalled all the same
   */
  *noInterrupt(api: DriverApi): KernelStep<number> {
    yield* this.place.css.flush(api);
    return this.vdev(api).takeSignals();
  }

  /** The workqueue has time; false where nothing was queued. */
  *runWork(api: DriverApi): KernelStep<boolean> {
    return (yield* this.place.css.flush(api)) > 0;
  }

  /** trace_vfio_ccw_fsm_event: the state an event meets. */
  protected trace(vdev: Vdev, event: CcwEvent): void {
    const { effects } = vdev.api;
    effects.fsmEvents ??= [];
    effects.fsmEvents.push([this.fsm, event]);
  }

  private inUse(api: DriverApi): Errno {
    return api.refuse('EAGAIN', 'another call is using the subchannel');
  }
}
