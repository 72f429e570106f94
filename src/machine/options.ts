import type { KernelBudgets } from '../kernel/kernel.ts';
import type { ProcessMemory } from '../kernel/memory.ts';
import type { Pauses } from '../kernel/scheduler.ts';
import type { MachineListener } from './listener.ts';

/** Parameters of the host that are not the kernel's module parameters. */
export interface PanicPolicy {
  panicOnWarn: boolean;
  panicOnOops: boolean;
}

/** Does something after a time (milliseconds); what it returns prevents that. */
export type Delay = (ms: number, action: () => void) => () => void;

/** What a machine may be made with. Without any of it nobody listens, nobody is called, and nothing waits. */
export interface MachineOptions {
  readonly policy?: PanicPolicy;
  readonly listeners?: readonly MachineListener[];
  /**
   * Why a webhook's URL can never be called, in words; null when it may be. A machine without it does not call
   * webhooks: complete-callback stands in for them.
   */
  readonly refusesWebhook?: (url: string) => string | null;
  /**
   * The memory of a real process; null where there is none, or it cannot be had. `id` tells whose it is here. A
   * machine without it has emulated memory only.
   */
  readonly realMemory?: ((pid: number, id: () => string) => ProcessMemory | null) | undefined;
  /** Makes the faults wait that delay a call. */
  readonly delay?: Delay | undefined;
  /** What all machines may have together. */
  readonly budgets?: KernelBudgets | undefined;
  /** Of many bytes that an answer carries nobody reads more than the hash. */
  readonly hashesBytes?: boolean;
  /** Makes long work of the kernel pause; without it every call runs as far as it can before start() returns. */
  readonly pauses?: Pauses | undefined;
}
