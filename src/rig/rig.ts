import type { Snapshot } from '../../schemas/snapshot.ts';
import type { RigView } from '../../schemas/views.ts';
import type { Host } from '../host/host.ts';
import { Operations } from '../host/operations.ts';
import type { Generation } from '../kernel/generations/index.ts';
import type { Machine } from '../machine/machine.ts';
import type { Turns } from '../turns.ts';

/** One isolated host with what the service keeps around it: its own ids, journal, taint and operations. */
export class Rig {
  operations: Operations;
  /** When a request last used it, milliseconds of the monotonic clock. */
  lastUsed: number;

  /**
   * @param operationsKept operations kept, finished ones included
   * @param seed brings a fresh host into its initial state
   */
  constructor(
    readonly name: string,
    readonly host: Host,
    private readonly operationsKept: number,
    private readonly seed: (host: Host) => void,
    now: number,
  ) {
    this.operations = new Operations(operationsKept);
    this.lastUsed = now;
    seed(host);
  }

  /** How many stream its events, or wait for some of them or for an operation. */
  get readers(): number {
    return this.host.journal.readers + this.operations.waits;
  }

  /** Whether somebody waits for something in it: a call or a search under way, a stream, a long poll. */
  get isBusy(): boolean {
    return this.host.machine.underway().length > 0 || this.operations.areUnderway || this.readers > 0;
  }

  /** Everything back to the start, optionally on another kernel. */
  reset(gen: Generation = this.host.kernel.gen): void {
    this.host.reset(gen);
    this.forgetOperations();
    this.seed(this.host);
  }

  /** Becomes what a setup makes of a fresh machine; where that fails, everything is as it was. */
  async setUp<T>(
    gen: Generation,
    fill: (machine: Machine, panicked: () => string | null) => Promise<T>,
    work: Turns,
  ): Promise<T> {
    const made = await this.host.setUp(gen, fill, work);
    this.forgetOperations();
    return made;
  }

  /** Ends it, with its calls and searches under way. */
  close(why: string): void {
    this.host.close(why);
    this.operations.cancelAll();
  }

  /** Becomes what a snapshot says; where it cannot be, everything is as it was. */
  async restore(snapshot: Snapshot, where: string, work: Turns): Promise<void> {
    await this.host.restoreInTurns(snapshot, where, work);
    this.forgetOperations();
  }

  private forgetOperations(): void {
    this.operations.cancelAll();
    this.operations = new Operations(this.operationsKept);
  }

  /** What `GET /v1/rigs` shows. */
  describe(now: number): RigView {
    const { kernel, machine, journal } = this.host;
    return {
      rig: this.name,
      kernel: kernel.gen.version,
      taint: [...kernel.taint],
      containers: kernel.containers.size,
      wedged: [...kernel.containers.values()].filter(({ view }) => view?.wedgedBy).length,
      devices: kernel.devices.size,
      pendingCalls: machine.pendingCalls,
      seq: journal.seq,
      idleSeconds: Math.floor((now - this.lastUsed) / 1000),
    };
  }
}
