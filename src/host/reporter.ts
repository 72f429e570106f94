import type { CallObject } from '../../schemas/calls.ts';
import type { Advisory } from '../kernel/advisories.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { hex } from '../kernel/pages.ts';
import type { SplatEvent } from '../kernel/task.ts';
import { type Answer, advisoryEntry, errnoOf } from '../machine/answer.ts';
import type { FaultEffect } from '../machine/faults.ts';
import { redactCall } from '../machine/redact.ts';
import type { HostMetrics } from '../metrics/host-metrics.ts';
import type { CallTask } from './call-task.ts';
import { Console } from './dmesg.ts';
import { Journal } from './journal.ts';
import { type HostLogger, logSplat } from './kernel-log.ts';
import type { WebhookReport } from './webhooks.ts';

/** Splats the console keeps. */
const CONSOLE_SPLATS = 1000;

/** Everything a host says of what happens on it: journal, console, log lines, metrics. */
export class Reporter {
  readonly journal: Journal;
  private readonly console: Console = new Console(CONSOLE_SPLATS);

  /** `journalLength` is the number of journal entries kept. */
  constructor(
    private readonly kernel: Kernel,
    journalLength: number,
    private readonly log: HostLogger,
    private readonly metrics: HostMetrics | undefined,
  ) {
    this.journal = new Journal(journalLength);
  }

  /** What the console of this kernel would show. */
  dmesg(): string {
    return this.console.text(this.kernel.gen);
  }

  /** A call begins; its seq. */
  called(task: CallTask): number {
    const { container, device, reqId, object } = task;
    return this.journal.append({ seq: 0, kind: 'call', container, device, reqId, call: redactCall(object) });
  }

  /** A call was answered. */
  answered(task: CallTask, answer: Answer): void {
    this.callbacks(task);
    this.metrics?.answered(answer);
    const { seq: cause, container, device } = task;
    const { how } = answer.end;
    this.journal.append({ seq: 0, kind: 'answer', cause, container, device, how, errno: errnoOf(answer) });
  }

  /** A fault strikes a call. */
  fault(call: CallObject, effect: FaultEffect): void {
    const seq = this.journal.append({ seq: 0, kind: 'fault', ...effect, call: redactCall(call) });
    this.log.info({ ...effect, call: call.call, seq }, `fault ${effect.fault} strikes ${call.call}`);
  }

  /** The kernel printed something because of a call. */
  splat(task: CallTask, { entry, details }: SplatEvent): void {
    const { kernel } = this;
    this.callbacks(task);
    const { seq: cause, container, device, reqId } = task;
    const seq = this.journal.append({ seq: 0, kind: 'splat', cause, container, device, splat: entry });
    this.metrics?.splat(entry, kernel.gen);
    // What the unmap itself prints is not printed in a callback.
    const own = device !== undefined || entry.kind === 'PR_WARN' || entry.function === 'vfio_dma_do_unmap';
    const inCallback = own ? undefined : details.device;
    const driver = inCallback === undefined ? undefined : kernel.devices.get(inCallback)?.driver;
    this.console.add({
      seq,
      entry,
      call: task.call,
      callback: driver?.config?.type.replaceAll('-', '_'),
      taint: [...kernel.taint],
    });
    const context = { gen: kernel.gen, call: task.call, container, device, reqId, seq };
    logSplat(this.log, entry, details, context);
  }

  /** A finding the kernel does not make. */
  advisory(task: CallTask, advisory: Advisory): void {
    this.callbacks(task);
    this.metrics?.advisory(advisory.kind);
    const { seq: cause, container, device, reqId } = task;
    const entry = advisoryEntry(advisory, task.call);
    const seq = this.journal.append({ seq: 0, kind: 'advisory', cause, container, device, advisory: entry });
    this.log.warn({ advisory: entry, container, device, reqId, seq }, `${entry.kind}: ${entry.text}`);
  }

  /** A webhook was called. */
  webhook(task: CallTask, webhook: WebhookReport): void {
    this.metrics?.callback(webhook.outcome);
    const { seq: cause, container, reqId } = task;
    const { device } = webhook;
    const seq = this.journal.append({ seq: 0, kind: 'webhook', cause, container, device, webhook });
    const fields = { webhook, container, device, reqId, seq };
    if (webhook.outcome === 'returned') this.log.debug(fields, 'webhook returned');
    else {
      this.log.warn(
        fields,
        `webhook of ${device} counts as returned without doing anything: ${webhook.reason}`,
      );
    }
  }

  /** Delivering a webhook failed in this host itself. */
  deliveryFailed(task: CallTask, error: unknown): void {
    const { container, device } = task;
    this.log.error({ err: error, container, device }, 'delivering a webhook failed in this host');
  }

  /** Brings the journal up to date with the callbacks a task has made. */
  callbacks(task: CallTask): void {
    while (task.journalled < task.invalidations.length) {
      const { device, iova, length, attempt, round } = task.invalidations[task.journalled++]!;
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
      this.countCallback(device);
    }
  }

  /** Counts a callback that was delivered; one to a webhook counts when it has ended. */
  private countCallback(device: string): void {
    const type = this.kernel.devices.get(device)?.driver.config?.type;
    if (type !== 'webhook') this.metrics?.callback(type === 'manual' ? 'manual' : 'built-in');
  }
}
