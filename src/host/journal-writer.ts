import type { CallObject } from '../../schemas/calls.ts';
import type { WebhookReport } from '../../schemas/events.ts';
import type { Advisory } from '../kernel/advisories.ts';
import type { Invalidation } from '../kernel/callback.ts';
import { hex } from '../kernel/pages.ts';
import { splatReport } from '../kernel/splat-report.ts';
import type { SplatEvent } from '../kernel/splats.ts';
import { advisoryEntry } from '../machine/answer.ts';
import type { CallTask } from '../machine/call-task.ts';
import type { FaultEffect } from '../machine/faults.ts';
import { redactCall } from '../machine/redact.ts';
import { CallRecord } from './call-record.ts';
import type { Journal } from './journal.ts';
import type { HostListener } from './listener.ts';

/** Writes what happens on a host into its journal. */
export class JournalWriter implements HostListener {
  constructor(private readonly journal: Journal) {}

  called(task: CallTask): void {
    const record = CallRecord.of(task);
    task.record = record;
    this.journal.appendCall(record);
  }

  ended(task: CallTask): void {
    const record = recordOf(task);
    record.end(task);
    this.journal.appendAnswer(record);
  }

  fault(call: CallObject, effect: FaultEffect): void {
    this.journal.append({ seq: 0, kind: 'fault', ...effect, call: redactCall(call) });
  }

  invalidated(task: CallTask, { device, iova, length, attempt, round }: Invalidation): void {
    task.invalidationSeq = this.journal.append({
      seq: 0,
      kind: 'invalidation',
      cause: recordOf(task).seq,
      call: task.call,
      container: task.container,
      device,
      iova: hex(iova),
      length: hex(length),
      attempt,
      round,
    });
  }

  splat(task: CallTask, event: SplatEvent): void {
    const { call, container, device } = task;
    const cause = recordOf(task).seq;
    this.journal.append({ seq: 0, kind: 'splat', cause, call, container, device, splat: splatReport(event) });
  }

  advisory(task: CallTask, advisory: Advisory): void {
    const { call, container, device } = task;
    const cause = recordOf(task).seq;
    const entry = advisoryEntry(advisory, task.call);
    this.journal.append({ seq: 0, kind: 'advisory', cause, call, container, device, advisory: entry });
  }

  webhook(task: CallTask, webhook: WebhookReport): void {
    const { call, container } = task;
    const cause = recordOf(task).seq;
    const { device } = webhook;
    this.journal.append({ seq: 0, kind: 'webhook', cause, call, container, device, webhook });
  }
}

/** What the writer keeps of a call, for itself and for the listeners after it. */
export function recordOf(task: CallTask): CallRecord {
  return task.record as CallRecord;
}
