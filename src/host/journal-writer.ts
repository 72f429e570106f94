import type { CallObject } from '../../schemas/calls.ts';
import type { WebhookReport } from '../../schemas/events.ts';
import type { Advisory } from '../kernel/advisories.ts';
import type { Invalidation } from '../kernel/callback.ts';
import { hex } from '../kernel/pages.ts';
import { splatReport } from '../kernel/splat-report.ts';
import type { SplatEvent } from '../kernel/splats.ts';
import { advisoryEntry, errnoOf } from '../machine/answer.ts';
import type { CallTask } from '../machine/call-task.ts';
import type { FaultEffect } from '../machine/faults.ts';
import { redactCall } from '../machine/redact.ts';
import type { Journal } from './journal.ts';
import type { HostListener } from './listener.ts';

/** Writes what happens on a host into its journal. */
export class JournalWriter implements HostListener {
  constructor(private readonly journal: Journal) {}

  called(task: CallTask): void {
    const { container, device, reqId, object } = task;
    task.seq = this.journal.append({
      seq: 0,
      kind: 'call',
      container,
      device,
      reqId,
      call: redactCall(object),
    });
  }

  ended(task: CallTask): void {
    const { seq: cause, container, device } = task;
    const answer = task.answer!;
    const { how } = answer.end;
    this.journal.append({ seq: 0, kind: 'answer', cause, container, device, how, errno: errnoOf(answer) });
  }

  fault(call: CallObject, effect: FaultEffect): void {
    this.journal.append({ seq: 0, kind: 'fault', ...effect, call: redactCall(call) });
  }

  invalidated(task: CallTask, { device, iova, length, attempt, round }: Invalidation): void {
    task.invalidationSeq = this.journal.append({
      seq: 0,
      kind: 'invalidation',
      cause: task.seq,
      container: task.container,
      device,
      iova: hex(iova),
      length: hex(length),
      attempt,
      round,
    });
  }

  splat(task: CallTask, event: SplatEvent): void {
    const { seq: cause, container, device } = task;
    this.journal.append({ seq: 0, kind: 'splat', cause, container, device, splat: splatReport(event) });
  }

  advisory(task: CallTask, advisory: Advisory): void {
    const { seq: cause, container, device } = task;
    const entry = advisoryEntry(advisory, task.call);
    this.journal.append({ seq: 0, kind: 'advisory', cause, container, device, advisory: entry });
  }

  webhook(task: CallTask, webhook: WebhookReport): void {
    const { seq: cause, container } = task;
    const { device } = webhook;
    this.journal.append({ seq: 0, kind: 'webhook', cause, container, device, webhook });
  }
}
