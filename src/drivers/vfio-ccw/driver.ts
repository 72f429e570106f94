import type {
  CcwOperation,
  CcwState,
  VfioCcwConfig,
  VfioCcwState,
} from '../../../schemas/drivers/vfio-ccw.ts';
import type { DriverApi, MdevDriver, NotifyResult } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { Lock } from '../../kernel/lock.ts';
import { hex, PAGE_SIZE } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { Injected } from '../injected.ts';
import { ChannelProgram } from './channel-program.ts';

const PAGE = BigInt(PAGE_SIZE);

/**
 * vfio_ccw: one subchannel of s390 channel I/O (spec section 5.2). While a channel program runs, the pages it
 * touches are pinned.
 *
 * Variants: `notifier` (up to 5.19) and `callback-first-page` (as first posted) look only at the first page of
 * an invalidated range; `range` (6.0) at all of it; `range-deferred` (6.1.192) like it, but when the close of
 * its reset finds the subchannel not operational, the pages are unpinned from a workqueue. In a kernel that
 * work races with the rounds of the unmap. Here it runs when told: by `ccw-run-work`, or at the device's
 * `workAfterCallbacks`-th callback after it was queued; with neither, it is late and the BUG_ON is reached.
 *
 * Once NOT_OPER a subchannel stays so (a machine check report would bring it back; there is none here), but
 * for `notifier`, whose reset tries again. Every entry holds io_mutex, which only 6.1.192 does throughout:
 * the races of the earlier ones with their own callback are not modelled.
 */
export class VfioCcwDriver implements MdevDriver {
  readonly hasDmaUnmap = true;
  private fsm: CcwState = 'STANDBY';
  private readonly cp: ChannelProgram;
  readonly ownLock: Lock = new Lock('io_mutex');
  /** Whether the subchannel is at work for a program: disabling it is answered EBUSY then. */
  private active = false;
  private workQueued = false;
  private callbacksSinceWork = 0;
  private readonly injected = new Injected<Errno>();

  constructor(readonly config: VfioCcwConfig) {
    this.cp = new ChannelProgram({
      wholePages: config.variant === 'notifier',
      reads: config.reads ?? 'pin',
    });
  }

  state(most: number): object {
    return {
      ...this.answer(most),
      active: this.active,
      workQueued: this.workQueued,
      callbacksSinceWork: this.callbacksSinceWork,
      injected: Object.fromEntries(this.injected.entries()),
    };
  }

  restore(state: VfioCcwState): void {
    this.fsm = state.fsm;
    this.active = state.active;
    this.workQueued = state.workQueued;
    this.callbacksSinceWork = state.callbacksSinceWork;
    this.cp.restore(state.pinned.map(({ iova, npage }) => ({ iova: BigInt(iova), npage })));
    for (const [operation, errnos] of Object.entries(state.injected)) this.injected.add(operation, errnos);
  }

  /** What its calls answer: the FSM's state, and what the channel program has pinned. */
  answer(most: number) {
    const pinned: { iova: string; npage: number }[] = [];
    let pinnedPages = 0;
    for (const { iova, npage } of this.cp.runs()) {
      pinnedPages += npage;
      if (pinned.length < most) pinned.push({ iova: hex(iova), npage });
    }
    return { fsm: this.fsm, pinned, pinnedPages };
  }

  /** The next `times` times, an operation of the channel subsystem answers an errno. */
  inject(operation: CcwOperation, errno: Errno, times: number): void {
    this.injected.add(operation, new Array<Errno>(times).fill(errno));
  }

  /** How many failures wait for an operation. */
  injectedCount(operation: CcwOperation): number {
    return this.injected.count(operation);
  }

  /** vfio_ccw_mdev_open_device. */
  *openDevice(api: DriverApi): KernelStep<Errno | null> {
    yield* api.lock(this.ownLock);
    if (this.fsm !== 'NOT_OPER') yield* this.fsmOpen(api);
    api.unlock(this.ownLock);
    return this.operational(api);
  }

  /** vfio_ccw_mdev_close_device. */
  *closeDevice(api: DriverApi): KernelStep<void> {
    yield* api.lock(this.ownLock);
    if (this.config.variant !== 'notifier') {
      yield* this.fsmClose(api);
    } else {
      if (this.fsm !== 'NOT_OPER' && !this.quiesceAndEnable()) this.fsm = 'STANDBY';
      yield* this.cp.free(api);
    }
    api.unlock(this.ownLock);
  }

  *dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<NotifyResult | void> {
    yield* api.lock(this.ownLock);
    const { workAfterCallbacks } = this.config;
    if (this.workQueued && ++this.callbacksSinceWork === workAfterCallbacks) yield* this.work(api);
    const result = yield* this.invalidate(api, iova, length);
    api.unlock(this.ownLock);
    return result;
  }

  private *invalidate(api: DriverApi, iova: bigint, length: bigint): KernelStep<NotifyResult | void> {
    switch (this.config.variant) {
      case 'notifier':
        if (!this.cp.pins(iova, PAGE)) return;
        if (this.quiesceAndEnable()) return 'NOTIFY_BAD';
        yield* this.cp.free(api);
        return;
      case 'callback-first-page':
        if (this.cp.pins(iova, PAGE)) yield* this.fsmReset(api);
        return;
      default:
        if (this.cp.pins(iova, length)) yield* this.fsmReset(api);
    }
  }

  /**
   * A START written to the I/O region: copies the program, pins its pages, starts it.
   *
   * @param program guest-physical address (IOVA) of its first CCW
   * @returns EAGAIN while another call is in the region; EBUSY while a program runs; EIO where the subchannel
   *   is not enabled; what reading or pinning the program was answered; what starting it was answered
   */
  *start(api: DriverApi, program: bigint): KernelStep<Errno | null> {
    if (!api.tryLock(this.ownLock)) return this.inUse(api);
    const errno = this.ready(api) ?? (yield* this.ioRequest(api, program));
    api.unlock(this.ownLock);
    return errno;
  }

  /** fsm_io_request. */
  private *ioRequest(api: DriverApi, program: bigint): KernelStep<Errno | null> {
    if (this.fsm === 'CP_PENDING') return api.refuse('EBUSY', 'a channel program is running');
    this.fsm = 'CP_PROCESSING';
    let errno = yield* this.cp.init(api, program);
    errno ??= yield* this.cp.prefetch(api);
    errno ??= this.perform(api, 'start');
    if (errno) {
      yield* this.cp.free(api);
      this.fsm = 'IDLE';
      return errno;
    }
    this.active = true;
    this.fsm = 'CP_PENDING';
    return null;
  }

  /**
   * A HALT or CLEAR written to the async command region. The program's pages stay pinned until the interrupt
   * that tells its end.
   */
  asyncCommand(api: DriverApi, operation: 'halt' | 'clear'): Errno | null {
    if (this.ownLock.owner) return this.inUse(api);
    return this.ready(api) ?? this.perform(api, operation);
  }

  /** vfio_ccw_sch_io_todo: the final interrupt. Without a program that runs it changes nothing. */
  *interrupt(api: DriverApi): KernelStep<void> {
    yield* api.lock(this.ownLock);
    this.active = false;
    if (this.fsm === 'CP_PENDING') {
      yield* this.cp.free(api);
      this.fsm = 'IDLE';
    }
    api.unlock(this.ownLock);
  }

  /** The device's RESET ioctl. */
  *reset(api: DriverApi): KernelStep<Errno | null> {
    yield* api.lock(this.ownLock);
    let errno: Errno | null;
    if (this.config.variant === 'notifier') {
      errno = this.quiesceAndEnable();
      if (errno) api.refuse(errno, 'the subchannel could not be quiesced and enabled again');
      else yield* this.cp.free(api);
    } else {
      yield* this.fsmReset(api);
      errno = this.operational(api);
    }
    api.unlock(this.ownLock);
    return errno;
  }

  /** Lets the queued work run; false when none is queued. */
  *runWork(api: DriverApi): KernelStep<boolean> {
    yield* api.lock(this.ownLock);
    const queued = this.workQueued;
    if (queued) yield* this.work(api);
    api.unlock(this.ownLock);
    return queued;
  }

  private *work(api: DriverApi): KernelStep<void> {
    this.workQueued = false;
    yield* this.cp.free(api);
  }

  /** vfio_ccw_mdev_reset from 6.0 on: FSM CLOSE, then OPEN. */
  private *fsmReset(api: DriverApi): KernelStep<void> {
    yield* this.fsmClose(api);
    if (this.fsm !== 'NOT_OPER') yield* this.fsmOpen(api);
  }

  /** fsm_open. */
  private *fsmOpen(api: DriverApi): KernelStep<void> {
    if (this.injected.take('enable')) yield* this.fsmNotOper(api);
    else this.fsm = 'IDLE';
  }

  /** fsm_close; nothing in NOT_OPER, where the event is ignored. */
  private *fsmClose(api: DriverApi): KernelStep<void> {
    if (this.fsm === 'NOT_OPER') return;
    if (this.disable()) {
      yield* this.fsmNotOper(api);
      return;
    }
    this.fsm = 'STANDBY';
    yield* this.cp.free(api);
  }

  /** fsm_notoper. */
  private *fsmNotOper(api: DriverApi): KernelStep<void> {
    this.fsm = 'NOT_OPER';
    if (this.config.variant === 'range-deferred') {
      this.workQueued = true;
      this.callbacksSinceWork = 0;
    } else {
      yield* this.cp.free(api);
    }
  }

  /** vfio_ccw_mdev_reset up to 5.19: quiesces and enables again. On failure NOT_OPER, with the pins in place. */
  private quiesceAndEnable(): Errno | null {
    const errno = this.disable() ?? this.injected.take('enable') ?? null;
    this.fsm = errno ? 'NOT_OPER' : 'IDLE';
    return errno;
  }

  /** cio_disable_subchannel; vfio_ccw_sch_quiesce where it is busy. */
  private disable(): Errno | null {
    let errno = this.injected.take('disable') ?? (this.active ? 'EBUSY' : null);
    if (errno === 'EBUSY') errno = this.injected.take('quiesce') ?? null;
    if (!errno) this.active = false;
    return errno;
  }

  private perform(api: DriverApi, operation: CcwOperation): Errno | null {
    const errno = this.injected.take(operation);
    return errno ? api.refuse(errno, `the channel subsystem answered ${operation} so`) : null;
  }

  private ready(api: DriverApi): Errno | null {
    if (this.fsm !== 'NOT_OPER' && this.fsm !== 'STANDBY') return null;
    return api.refuse('EIO', `the subchannel is ${this.fsm}`);
  }

  private operational(api: DriverApi): Errno | null {
    return this.fsm === 'NOT_OPER' ? api.refuse('EINVAL', 'the subchannel is not operational') : null;
  }

  private inUse(api: DriverApi): Errno {
    return api.refuse('EAGAIN', 'another call is using the subchannel');
  }
}
