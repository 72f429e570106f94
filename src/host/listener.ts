import type { WebhookReport } from '../../schemas/events.ts';
import type { CallTask } from '../machine/call-task.ts';
import type { MachineListener } from '../machine/listener.ts';

/** Told what happens on a host: on its machine, and with the webhooks it calls. */
export interface HostListener extends MachineListener {
  /** A webhook was called for a callback. */
  webhook?(task: CallTask, report: WebhookReport): void;
  /** Calling a webhook failed in this host itself. */
  deliveryFailed?(task: CallTask, error: unknown): void;
}
