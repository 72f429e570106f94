import type { CallObject } from '../../schemas/calls.ts';
import type { WebhookReport } from '../../schemas/events.ts';
import type { Advisory } from '../kernel/advisories.ts';
import type { SplatEvent } from '../kernel/splats.ts';
import { advisoryEntry } from '../machine/answer.ts';
import type { CallTask } from '../machine/call-task.ts';
import type { FaultEffect } from '../machine/faults.ts';
import type { Journal } from './journal.ts';
import { type HostLogger, logSplat } from './kernel-log.ts';
import type { HostListener } from './listener.ts';

/** Writes a line for each splat, finding, fault and webhook, with the seq of its journal entry. */
export class LogWriter implements HostListener {
  constructor(
    private readonly log: HostLogger,
    /** Written before this is told. */
    private readonly journal: Journal,
  ) {}

  fault({ call }: CallObject, effect: FaultEffect): void {
    this.log.info({ ...effect, call, seq: this.journal.seq }, `fault ${effect.fault} strikes ${call}`);
  }

  splat(task: CallTask, event: SplatEvent): void {
    logSplat(this.log, task, event, this.journal.seq);
  }

  advisory(task: CallTask, advisory: Advisory): void {
    const { container, device, reqId } = task;
    const entry = advisoryEntry(advisory, task.call);
    const fields = { advisory: entry, container, device, reqId, seq: this.journal.seq };
    this.log.warn(fields, `${entry.kind}: ${entry.text}`);
  }

  webhook(task: CallTask, webhook: WebhookReport): void {
    const { container, reqId } = task;
    const { device } = webhook;
    const fields = { webhook, container, device, reqId, seq: this.journal.seq };
    if (webhook.outcome === 'returned') this.log.debug(fields, 'webhook returned');
    else {
      this.log.warn(
        fields,
        `webhook of ${device} counts as returned without doing anything: ${webhook.reason}`,
      );
    }
  }

  deliveryFailed({ container, device }: CallTask, error: unknown): void {
    this.log.error({ err: error, container, device }, 'delivering a webhook failed in this host');
  }
}
