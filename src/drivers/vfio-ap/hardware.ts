import type { ApInstruction, VfioApSaved } from '../../../schemas/drivers/vfio-ap.ts';
import type { DriverTask } from '../../kernel/driver.ts';
import { hex } from '../../kernel/pages.ts';
import { Injected, insert } from '../injected.ts';
import { ApMask, ApMatrix, adapterOf, domainOf } from './masks.ts';

/** Response codes of an AP instruction (AP_RESPONSE_*). */
export const AP_NORMAL = 0x00;
export const AP_Q_NOT_AVAIL = 0x01;
export const AP_RESET_IN_PROGRESS = 0x02;
export const AP_DECONFIGURED = 0x03;
export const AP_CHECKSTOPPED = 0x04;
export const AP_BUSY = 0x05;
export const AP_INVALID_ADDRESS = 0x06;
export const AP_OTHERWISE_CHANGED = 0x07;
export const AP_INVALID_GISA = 0x08;
export const AP_STATE_CHANGE_IN_PROGRESS = 0x0a;
export const AP_ASSOC_SECRET_NOT_UNIQUE = 0x35;
export const AP_ASSOC_FAILED = 0x36;

/** A status word. */
export interface ApStatus {
  readonly response: number;
  readonly irqEnabled: boolean;
  readonly queueEmpty: boolean;
}

/** A queue in working order: whatever it is told to do is done at once. It has no state of its own. */
const DONE: ApStatus = { response: AP_NORMAL, irqEnabled: false, queueEmpty: true };
/** A queue of an adapter that is not in the configuration. */
const GONE: ApStatus = { ...DONE, response: AP_Q_NOT_AVAIL };

/** Adapters and domains every host has; a device that names others brings them along. */
const ADAPTERS = [0, 1, 2];
const DOMAINS = [0, 1, 2, 3];

/** The AP hardware of a host: its configuration (what QCI says), its queues, and what they are told to answer. */
export class ApHardware {
  /** Adapters that are configured, and domains. */
  readonly config = new ApMatrix(new ApMask(ADAPTERS), new ApMask(DOMAINS));
  /** Adapters that were taken out of the configuration. */
  private readonly gone = new ApMask();
  private readonly injected = new Map<number, Injected<ApStatus>>();
  /** The next registrations of an ISC, whichever queue they are for: an answer other than 0 fails. */
  private readonly registrations = new Injected<ApStatus>();

  /** Adapters and domains that a device names are there. */
  plug(matrix: ApMatrix): void {
    for (const apid of matrix.apm.list()) if (!this.gone.has(apid)) this.config.apm.set(apid);
    for (const apqi of matrix.aqm.list()) this.config.aqm.set(apqi);
  }

  /** Every adapter, and whether it is configured. */
  adapters(): { adapter: number; configured: boolean }[] {
    const all = [...this.config.apm.list(), ...this.gone.list()].sort((a, b) => a - b);
    return all.map((adapter) => ({ adapter, configured: this.config.apm.has(adapter) }));
  }

  /** What waits to be answered, as it is saved. */
  saveInjected(): Pick<VfioApSaved, 'injected' | 'registrations'> {
    return {
      injected: [...this.injected.keys()].map((apqn) => ({ apqn, answers: this.waiting(apqn) as never })),
      registrations: (this.registrations.entries()[0]?.[1] ?? []).map(
        (answer) => answer.response === AP_NORMAL,
      ),
    };
  }

  /** Sets the configuration and what waits to be answered, which is in the order of its queues; stops now and then. */
  *restore({ adapters, domains, injected, registrations }: VfioApSaved): Generator<void, void> {
    for (const apid of this.config.apm.list()) this.config.apm.clear(apid);
    for (const apqi of this.config.aqm.list()) this.config.aqm.clear(apqi);
    for (const { adapter, configured } of adapters) (configured ? this.config.apm : this.gone).set(adapter);
    for (const apqi of domains) this.config.aqm.set(apqi);
    for (const { apqn, answers } of injected) {
      const queue = new Injected<ApStatus>();
      for (const [instruction, statuses] of Object.entries(answers)) queue.add(instruction, statuses);
      this.injected.set(apqn, queue);
      yield;
    }
    this.inject(
      0,
      'gisc-register',
      registrations.map((works) => (works ? AP_NORMAL : AP_Q_NOT_AVAIL)),
    );
  }

  /** Whether there is an adapter of this number, be it configured or not. */
  hasAdapter(apid: number): boolean {
    return this.config.apm.has(apid) || this.gone.has(apid);
  }
  hasQueue(apqn: number): boolean {
    return this.hasAdapter(adapterOf(apqn)) && this.config.aqm.has(domainOf(apqn));
  }

  /** Na and Nd of QCI: the highest adapter and the highest domain. */
  get maxAdapter(): number {
    return Math.max(...this.config.apm.list(), ...this.gone.list());
  }
  get maxDomain(): number {
    return Math.max(...this.config.aqm.list());
  }

  /** An adapter is taken out of the configuration, or comes back into it. Nobody is told before the AP bus looks. */
  configure(apid: number, configured: boolean): void {
    const [from, to] = configured ? [this.gone, this.config.apm] : [this.config.apm, this.gone];
    from.clear(apid);
    to.set(apid);
  }

  /**
   * Executes an instruction for a queue: 01 where its adapter is not configured, else the next answer that was
   * injected, else success.
   *
   * @param more what else is shown of it
   */
  execute(task: DriverTask, op: ApInstruction | 'rapq', apqn: number, more: object = {}): ApStatus {
    const there = this.config.has(apqn);
    const status = there ? (this.takeInjected(apqn, op) ?? DONE) : GONE;
    const { response, irqEnabled, queueEmpty } = status;
    task.note('instructions', {
      op,
      apqn,
      response,
      ...(irqEnabled ? { irqEnabled } : {}),
      ...(queueEmpty ? {} : { queueEmpty }),
      ...more,
    });
    return status;
  }

  private takeInjected(apqn: number, op: string): ApStatus | undefined {
    const injected = this.injected.get(apqn);
    const status = injected?.take(op);
    if (injected?.isEmpty) this.injected.delete(apqn);
    return status;
  }

  /** PQAP(AQIC) that enables. */
  aqicEnable(task: DriverTask, apqn: number, isc: number, nib: bigint): ApStatus {
    return this.execute(task, 'aqic-enable', apqn, { isc, nibOffset: hex(nib & 0xfffn) });
  }

  /** Whether the next registration of an ISC works. */
  registers(): boolean {
    return (this.registrations.take('gisc-register') ?? DONE).response === AP_NORMAL;
  }

  /** Answers to be given, in order; a bare number is a response code with nothing else amiss. */
  inject(apqn: number, instruction: ApInstruction, answers: readonly (number | Partial<ApStatus>)[]): void {
    const statuses = answers.map((answer) => ({
      ...DONE,
      ...(typeof answer === 'number' ? { response: answer } : answer),
    }));
    this.listFor(apqn, instruction, true)!.add(instruction, statuses);
  }

  /** How many injected answers wait. */
  injectedCount(apqn: number, instruction: ApInstruction): number {
    return this.listFor(apqn, instruction, false)?.count(instruction) ?? 0;
  }

  private listFor(apqn: number, instruction: ApInstruction, make: boolean): Injected<ApStatus> | undefined {
    if (instruction === 'gisc-register') return this.registrations;
    if (make && !this.injected.has(apqn)) insert(this.injected, apqn, new Injected());
    return this.injected.get(apqn);
  }

  /** Injected answers that wait for a queue, by instruction. */
  waiting(apqn: number): Record<string, readonly ApStatus[]> {
    return Object.fromEntries(this.injected.get(apqn)?.entries() ?? []);
  }
}
