import type { WebhookConfig } from '../../schemas/drivers/external.ts';
import type { WebhookReport } from '../../schemas/events.ts';
import { shownUrl } from '../drivers/external/redact.ts';
import type { PendingCallback } from '../kernel/callback.ts';
import { hex } from '../kernel/pages.ts';
import { answerTo, type CallTask } from '../machine/call-task.ts';
import type { MachineListener } from '../machine/listener.ts';
import { Turns } from '../turns.ts';
import type { WebhookCaller } from '../webhook/caller.ts';
import { type Delivered, readAnswer } from '../webhook/delivery.ts';
import { recordOf } from './journal-writer.ts';
import type { HostListener } from './listener.ts';

/** How long a callback may take unless its device says otherwise, milliseconds. */
const WEBHOOK_TIMEOUT_MS = 5_000;

/** Characters of an answer's body that the journal keeps. */
const BODY_KEPT = 4096;

/**
 * Delivers the callbacks of webhook drivers and resumes their calls, whatever comes back. The unpins an answer
 * asks for are made as calls of the device before the callback returns.
 */
export class Webhooks implements MachineListener {
  /** What ends each delivery that is under way. */
  private readonly deliveries = new Map<CallTask, AbortController>();

  constructor(
    private readonly caller: WebhookCaller,
    /** Told how each delivery ended. */
    private readonly listeners: readonly HostListener[],
    /** Name of the rig, which every request says. */
    private readonly rig: string | undefined,
  ) {}

  callback(task: CallTask, callback: PendingCallback): void {
    const { config } = task.machine.device(callback.device).driver;
    if (callback.mode !== 'outside' || config?.type !== 'webhook') return;
    const delivery = new AbortController();
    this.deliveries.set(task, delivery);
    this.deliver(config as WebhookConfig, task, callback, delivery.signal).catch((error: unknown) => {
      for (const listener of this.listeners) listener.deliveryFailed?.(task, error);
      if (task.callback === callback) task.machine.resume(task, {});
    });
  }

  ended(task: CallTask): void {
    if (this.deliveries.size === 0) return;
    this.deliveries.get(task)?.abort();
    this.deliveries.delete(task);
  }

  private async deliver(
    { url, secret, timeoutMs = WEBHOOK_TIMEOUT_MS, journalBodies = false }: WebhookConfig,
    task: CallTask,
    callback: PendingCallback,
    given: AbortSignal,
  ): Promise<void> {
    const payload = { rig: this.rig, ...payloadOf(task, callback, timeoutMs) };
    const outcome = await this.caller.call({ url, secret, timeoutMs, payload }, given);
    const read = outcome.ok ? await readAnswer(outcome.body) : outcome;
    // The task may have been killed meanwhile, as part of a deadlock or by a reset.
    if (task.end) return;
    const { status, body } = outcome;
    const failed = 'reason' in read;
    this.report(task, {
      device: callback.device,
      callback: callback.call,
      url: shownUrl(url),
      outcome: failed ? 'failed' : 'returned',
      ...(status === undefined ? {} : { status }),
      ...(failed ? { reason: read.reason } : {}),
      ...(journalBodies ? { request: payload } : {}),
      ...(journalBodies && body !== undefined ? { answer: body.slice(0, BODY_KEPT) } : {}),
    });
    if (!failed) await unpin(task, callback.device, read.unpin);
    if (!task.end) task.machine.resume(task, failed ? {} : read.result);
  }

  private report(task: CallTask, report: WebhookReport): void {
    for (const listener of this.listeners) listener.webhook?.(task, report);
  }
}

async function unpin({ machine }: CallTask, device: string, runs: Delivered['unpin']): Promise<void> {
  const turns = new Turns();
  for (const { iova, npage } of runs) {
    if (turns.isOver) await turns.next();
    const started = machine.start({ call: 'unpin-pages', device, iova, npage });
    if (!started.answer) await answerTo(started);
  }
}

function payloadOf(task: CallTask, callback: PendingCallback, deadlineMs: number): object {
  const { container } = task;
  const { call, device, invalidation } = callback;
  return {
    call,
    container,
    device,
    ...(invalidation
      ? {
          iova: hex(invalidation.iova),
          length: hex(invalidation.length),
          attempt: invalidation.attempt,
          round: invalidation.round,
        }
      : {}),
    // Of the journal entry that is delivered.
    seq: invalidation ? task.invalidationSeq : recordOf(task).seq,
    deadlineMs,
  };
}
