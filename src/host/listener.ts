import type { CallTask } from '../machine/call-task.ts';
import type { MachineListener } from '../machine/listener.ts';

/** How one delivery to a webhook ended, for log and journal. */
export interface WebhookReport {
  readonly device: string;
  readonly callback: string;
  readonly url: string;
  readonly outcome: 'returned' | 'failed';
  readonly status?: number;
  /** Why it counts as "the callback returned and did nothing". */
  readonly reason?: string;
}

/** Told what happens on a host: on its machine, and with the webhooks it calls. */
export interface HostListener extends MachineListener {
  /** A webhook was called for a callback. */
  webhook?(task: CallTask, report: WebhookReport): void;
  /** Calling a webhook failed in this host itself. */
  deliveryFailed?(task: CallTask, error: unknown): void;
}
