import type { ApInstruction } from '../../../schemas/drivers/vfio-ap.ts';
import { Injected } from '../injected.ts';

/** Response codes of an AP instruction (spec section 7). */
export const AP_NORMAL = 0;
export const AP_NOT_AVAILABLE = 1;
export const AP_RESET_IN_PROGRESS = 2;
export const AP_DECONFIGURED = 3;
export const AP_CHECKSTOPPED = 4;
export const AP_BUSY = 5;
export const AP_INVALID_ADDRESS = 6;
export const AP_OTHERWISE_CHANGED = 7;
export const AP_INVALID_GISA = 8;

/** A status word. */
export interface ApStatus {
  readonly response: number;
  readonly irqEnabled: boolean;
  readonly queueEmpty: boolean;
}

/** A queue in working order: whatever it is told to do is done at once. */
const DONE: ApStatus = { response: AP_NORMAL, irqEnabled: false, queueEmpty: true };

/** A queue that is assigned to the matrix mdev (struct vfio_ap_queue), with its hardware. */
export class ApQueue {
  /** Key of the pinned notification byte, bytes; 0: none, as in the driver. */
  savedIova = 0n;
  /** Interruption subclass that is registered; null: none. */
  savedIsc: number | null = null;
  private readonly injected = new Injected<ApStatus>();

  constructor(readonly apqn: number) {}

  /** Executes an instruction: the next injected answer, otherwise success. */
  execute(instruction: ApInstruction): ApStatus {
    return this.injected.take(instruction) ?? DONE;
  }

  /** Answers the hardware is to give, in order; a bare number is a response code with nothing else amiss. */
  inject(instruction: ApInstruction, answers: readonly (number | Partial<ApStatus>)[]): void {
    this.injected.add(
      instruction,
      answers.map((answer) => ({ ...DONE, ...(typeof answer === 'number' ? { response: answer } : answer) })),
    );
  }

  /** How many injected answers wait for an instruction. */
  injectedCount(instruction: ApInstruction): number {
    return this.injected.count(instruction);
  }

  /** Injected answers that wait, by instruction. */
  get waiting(): Record<string, readonly ApStatus[]> {
    return Object.fromEntries(this.injected.entries());
  }
}
